// C++ twin of the event queue in src/kernel (queue.ts, fine-rung.ts, far-wheel.ts): same algorithm, same constants, same order.
// Shared by hold.cpp (the queue alone) and end-to-end.cpp (a whole simulation).
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <vector>

using std::vector;
typedef int32_t i32;
typedef uint32_t u32;
typedef int64_t i64;

struct Event {
  i32 node = 0, op = 0, unit = 0, id = 0, parent = 0, source = 0, opAfter = 0, delayAfter = 0;
  Event* next = nullptr;
  i32 flags = 0, bytes = 0;
  uint64_t address = 0, out = 0;
  i32 context = -1, state = 0, level = 0, value = 0;
};

static void append(i32* nodes, i32* heads, i32* tails, u32* bits, int index, i32 h) {
  u32& word = bits[index >> 5];
  u32 bit = 1u << (index & 31);
  if (word & bit) {
    nodes[tails[index] + 1] = h;
  } else {
    word |= bit;
    heads[index] = h;
  }
  tails[index] = h;
}

static int firstFrom(const u32* bits, int words, int from) {
  int word = from >> 5;
  if (word >= words) return -1;
  u32 x = bits[word] & (~0u << (from & 31));
  while (!x) {
    if (++word == words) return -1;
    x = bits[word];
  }
  return (word << 5) + std::countr_zero(x);
}

struct FineRung {
  static constexpr int LG2 = 9, SLICES = 1 << LG2, WORDS = SLICES >> 5;
  bool active = false;
  i32 tail = 0, base = 0;
  int shift = 0, tickMask = 0, slice = 0, tick = 0;
  i32 sliceHeads[SLICES], sliceTails[SLICES], tickHeads[SLICES], tickTails[SLICES];
  u32 sliceBits[WORDS] = {}, tickBits[WORDS] = {};
  void open(i32 b, int widthLg2, i32 from) {
    active = true;
    base = b;
    shift = widthLg2 > LG2 ? widthLg2 - LG2 : 0;
    tickMask = (1 << shift) - 1;
    slice = (from - base) >> shift;
    tick = (from - base) & tickMask;
  }
  void add(i32* nodes, i32 h) {
    int offset = (u32)nodes[h] - (u32)base, s = offset >> shift;
    nodes[h + 1] = 0;
    if (s == slice) append(nodes, tickHeads, tickTails, tickBits, offset & tickMask, h);
    else append(nodes, sliceHeads, sliceTails, sliceBits, s, h);
  }
  i32 take(i32* nodes) {
    int t = firstFrom(tickBits, WORDS, tick);
    while (t < 0) {
      int s = firstFrom(sliceBits, WORDS, slice + 1);
      if (s < 0) {
        active = false;
        return 0;
      }
      slice = s;
      sliceBits[s >> 5] &= ~(1u << (s & 31));
      for (i32 h = sliceHeads[s]; h;) {
        i32 next = nodes[h + 1];
        nodes[h + 1] = 0;
        append(nodes, tickHeads, tickTails, tickBits, (nodes[h] - base) & tickMask, h);
        h = next;
      }
      t = firstFrom(tickBits, WORDS, 0);
    }
    tick = t;
    tickBits[t >> 5] &= ~(1u << (t & 31));
    tail = tickTails[t];
    return tickHeads[t];
  }
};

struct FarWheel {
  static constexpr int DIGIT = 5, SLOTS = 32, LEVELS = 11;
  int length = 0, chunkLg2 = 0;
  vector<i64> times;
  i64 chunk = 0;
  i32 heads[LEVELS * SLOTS], tails[LEVELS * SLOTS];
  u32 bits[LEVELS] = {};
  i64 position() const { return chunk << chunkLg2; }
  void shape(int lg2, i64 positionPs) {
    chunkLg2 = lg2;
    chunk = positionPs >> lg2;
  }
  void push(i32* nodes, i32 h, i64 time) {
    times[h >> 1] = time;
    length++;
    place(nodes, h);
  }
  void place(i32* nodes, i32 h) {
    i64 c = times[h >> 1] >> chunkLg2;
    int level = (63 - std::countl_zero((uint64_t)((c ^ chunk) | 1))) / DIGIT, slot = (c >> (level * DIGIT)) & (SLOTS - 1);
    nodes[h + 1] = 0;
    append(nodes, heads + level * SLOTS, tails + level * SLOTS, bits + level, slot, h);
  }
  i32 unlink(int level, int slot) {
    if (!(bits[level] & (1u << slot))) return 0;
    bits[level] &= ~(1u << slot);
    return heads[level * SLOTS + slot];
  }
  void replace(i32* nodes, i32 h) {
    while (h) {
      i32 next = nodes[h + 1];
      place(nodes, h);
      h = next;
    }
  }
  i32 take(i32* nodes) {
    int slot = chunk & (SLOTS - 1);
    i32 list = unlink(0, slot);
    chunk++;
    if (slot == SLOTS - 1) {
      i64 digits = chunk >> DIGIT;
      for (int level = 1; level < LEVELS; level++, digits >>= DIGIT) {
        replace(nodes, unlink(level, digits & (SLOTS - 1)));
        if (digits & (SLOTS - 1)) break;
      }
    }
    return list;
  }
  void seek(i32* nodes) {
    int level = 0;
    while (!bits[level]) level++;
    i32 list = unlink(level, std::countr_zero(bits[level]));
    i64 earliest = times[list >> 1];
    for (i32 h = nodes[list + 1]; h; h = nodes[h + 1]) earliest = std::min(earliest, times[h >> 1]);
    chunk = earliest >> chunkLg2;
    replace(nodes, list);
  }
  void drain(i32* nodes, vector<i32>& out) {
    for (int level = 0; level < LEVELS; level++)
      while (bits[level])
        for (i32 h = unlink(level, 31 - std::countl_zero(bits[level])); h; h = nodes[h + 1]) out.push_back(h);
    length = 0;
  }
};

struct Twin {
  static constexpr int HORIZON = 30, WINDOW = 16384, INSERT_LIMIT = 32, SORT_LIMIT = 256, MOST = 1 << 21, WARM_SIZE = 1 << 14, WARM = 8, DEPTH = 8;
  i64 clock = 0, windowStart = 0, popped = 0, shapedAt = std::numeric_limits<i64>::min() / 2;
  int pushed = 0, near = 0, w = 10, buckets = 0, chunkLg2 = 0, untilTune = WINDOW, window = WINDOW, beyond = 0, skipped = 0, warmed = -1;
  i32 time = 0, base = 0, limit = 0, extendAt = 0, current = 0, tail = 0;
  u32 span = 0;
  vector<i32> nodes{0, 0}, heads;
  vector<u32> bits;
  vector<Event*> events;
  Event nobody;
  FineRung fine;
  FarWheel far;
  volatile i32 seen = 0;
  Twin() {
    events.push_back(&nobody);
    far.times.resize(1);
    shape(1024, 10);
  }
  i32 adopt(Event* e) {
    i32 h = 2 * events.size();
    events.push_back(e);
    if (h == (i32)nodes.size()) {
      nodes.resize(std::max(256, 2 * h));
      far.times.resize(nodes.size() >> 1);
    }
    return e->node = h;
  }
  void push(i64 delay, Event* e) {
    i32 h = e->node ? e->node : adopt(e);
    i32* m = nodes.data();
    pushed++;
    if (delay >> HORIZON) {
      m[h] = (i32)(clock + delay);
      far.push(m, h, clock + delay);
      return;
    }
    i32 t = (u32)time + (u32)delay;
    m[h] = t;
    if (((u32)t - (u32)base) >> w == 0) {
      insert(t, h);
    } else if ((i32)((u32)t - (u32)limit) < 0) {
      stack(t, h);
    } else {
      beyond++;
      far.push(m, h, clock + delay);
    }
  }
  Event* pop() {
    i32 h = current;
    if (!h && !(h = advance())) return nullptr;
    i32 t = nodes[h];
    current = nodes[h + 1];
    clock += (i32)((u32)t - (u32)time);
    time = t;
    if (!--untilTune) tune();
    return events[h >> 1];
  }
  int size() const { return pushed - window + untilTune; }
  void stack(i32 t, i32 h) {
    int b = (t >> w) & (buckets - 1);
    i32 head = heads[b];
    near++;
    nodes[h + 1] = head;
    heads[b] = h;
    if (!head) bits[b >> 5] |= 1u << (b & 31);
  }
  static bool before(i32 a, i32 b) { return (i32)((u32)a - (u32)b) < 0; }
  void append(i32 h) {
    nodes[tail + 1] = h;
    nodes[h + 1] = 0;
    tail = h;
  }
  void refine(i32 h) {
    while (h) {
      i32 next = nodes[h + 1];
      fine.add(nodes.data(), h);
      h = next;
    }
  }
  void insert(i32 t, i32 h) {
    i32* m = nodes.data();
    if (fine.active) {
      if (current && m[current] == t) append(h);
      else fine.add(m, h);
    } else if (!current) {
      m[h + 1] = 0;
      current = tail = h;
    } else if (!before(t, m[tail])) {
      append(h);
    } else if (before(t, m[current])) {
      m[h + 1] = current;
      current = h;
    } else {
      i32 a = current, b = m[a + 1];
      for (int steps = 0; !before(t, m[b]);) {
        a = b;
        b = m[b + 1];
        if (++steps == INSERT_LIMIT) {
          fine.open(base, w, time);
          i32 list = current;
          current = 0;
          refine(list);
          fine.add(m, h);
          return;
        }
      }
      m[a + 1] = h;
      m[h + 1] = b;
    }
  }
  i32 advance() {
    i32* m = nodes.data();
    if (fine.active) {
      i32 h = fine.take(m);
      tail = fine.tail;
      if (h) return h;
    }
    if (!near) {
      if (!far.length) return 0;
      jump();
    }
    int mask = buckets - 1, from = ((base >> w) + 1) & mask, word = from >> 5;
    u32 x = bits[word] & (~0u << (from & 31));
    if (!x) {
      do {
        word = (word + 1) & (mask >> 5);
        x = bits[word];
        skipped++;
      } while (!x);
      if (skipped > (1 << 16)) {
        skipped = 0;
        if (untilTune > 1 && window - untilTune >= 64) {
          window -= untilTune - 1;
          untilTune = 1;
        }
      }
    }
    int bucket = (word << 5) + std::countr_zero(x);
    base = (u32)base + (u32)((((bucket - from) & mask) + 1) << w);
    if ((i32)((u32)base - (u32)extendAt) >= 0) extend();
    if (size() > WARM_SIZE && bucket / WARM != warmed) warm(bucket);
    return sort(bucket);
  }
  void warm(int bucket) {
    int first = bucket & -WARM;
    warmed = bucket / WARM;
    i32 at[WARM], x = 0;
    for (int i = 0; i < WARM; i++) at[i] = heads[first + i];
    for (int depth = 0; depth < DEPTH; depth++)
      for (int i = 0; i < WARM; i++) {
        x ^= events[at[i] >> 1]->op;
        at[i] = nodes[at[i] + 1];
      }
    seen = x;
  }
  void jump() {
    far.seek(nodes.data());
    i64 at = far.position();
    windowStart += at - clock;
    clock = at;
    time = limit = (i32)at;
    base = (u32)time - (1u << w);
    extend();
  }
  void extend() {
    int chunks = ((u32)base + span - (u32)limit) >> chunkLg2;
    limit = (u32)limit + ((u32)chunks << chunkLg2);
    extendAt = (u32)limit - span + (1u << chunkLg2);
    for (int i = 0; i < chunks; i++) {
      if (!far.length) {
        far.chunk += chunks - i;
        return;
      }
      for (i32 h = far.take(nodes.data()); h;) {
        i32 next = nodes[h + 1];
        far.length--;
        stack(nodes[h], h);
        h = next;
      }
    }
  }
  i32 sort(int bucket) {
    i32 *m = nodes.data(), h = heads[bucket], list = h, last = h, next = m[h + 1];
    heads[bucket] = 0;
    bits[bucket >> 5] &= ~(1u << (bucket & 31));
    int n = near - 1, steps = 0;
    m[h + 1] = 0;
    while (next) {
      h = next;
      next = m[h + 1];
      n--;
      i32 t = m[h];
      if (!before(m[list], t)) {
        m[h + 1] = list;
        list = h;
        continue;
      }
      i32 a = list, b = m[a + 1];
      while (b && before(m[b], t)) {
        a = b;
        b = m[b + 1];
        steps++;
      }
      m[a + 1] = h;
      m[h + 1] = b;
      if (!b) last = h;
      if (steps > SORT_LIMIT) {
        near = n;
        i32 older = 0;
        for (i32 k = next; k; near--) {
          i32 after = m[k + 1];
          m[k + 1] = older;
          older = k;
          k = after;
        }
        fine.open(base, w, base);
        refine(older);
        refine(list);
        i32 first = fine.take(m);
        tail = fine.tail;
        return first;
      }
    }
    near = n;
    tail = last;
    return list;
  }
  void tune() {
    double width = 4.0 * (clock - windowStart) / window, missed = (double)beyond * WINDOW / window;
    popped += window;
    pushed -= window;
    windowStart = clock;
    window = untilTune = WINDOW;
    beyond = skipped = 0;
    int k = 0, n = buckets;
    while ((double)(1 << k) < width && k < 18) k++;
    if (missed > WINDOW / 16) {
      n *= 2;
      while (n < size()) n *= 2;
      n = std::min(n, MOST);
    }
    n = std::min(n, 1 << (HORIZON - k));
    if (w - k < 2 && k - w < 3) {
      if (n <= buckets) return;
      k = w;
      n = std::min(n, 1 << (HORIZON - k));
    }
    if (popped - shapedAt < size() + n) return;
    shapedAt = popped;
    vector<i32> nearby, distant;
    i32 list = current;
    do {
      for (i32 h = list; h; h = nodes[h + 1]) nearby.push_back(h);
      list = fine.active ? fine.take(nodes.data()) : 0;
    } while (list);
    for (int i = 1; i < buckets; i++) {
      int b = ((base >> w) + i) & (buckets - 1);
      size_t first = nearby.size();
      for (i32 h = heads[b]; h; h = nodes[h + 1]) nearby.push_back(h);
      std::reverse(nearby.begin() + first, nearby.end());
      heads[b] = 0;
    }
    std::fill(bits.begin(), bits.end(), 0);
    far.drain(nodes.data(), distant);
    shape(n, k);
    for (i32 h : nearby) settle(h, clock + (i32)((u32)nodes[h] - (u32)time));
    for (i32 h : distant) settle(h, far.times[h >> 1]);
  }
  void settle(i32 h, i64 at) {
    if (at >= far.position()) {
      far.push(nodes.data(), h, at);
      return;
    }
    if (((u32)nodes[h] - (u32)base) >> w) stack(nodes[h], h);
    else insert(nodes[h], h);
  }
  void shape(int n, int k) {
    if (n != buckets) {
      buckets = n;
      heads.assign(n, 0);
      bits.assign(n >> 5, 0);
    }
    w = k;
    span = (u32)n << k;
    chunkLg2 = 31 - std::countl_zero(span) - 3;
    base = (time >> k) << k;
    i64 end = ((clock + (i32)((u32)base - (u32)time) + span) >> chunkLg2) << chunkLg2;
    limit = (i32)end;
    extendAt = (u32)limit - span + (1u << chunkLg2);
    far.shape(chunkLg2, end);
    near = current = 0;
  }
};
