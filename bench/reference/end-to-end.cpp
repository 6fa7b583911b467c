// Whole-simulation benchmark, C++ twin of the scenario `reference` of bench/scenarios.mjs and of nothing else: one device, link,
// root port, IOMMU unit and socket, VT-d legacy mode, 4 KiB pages, audit off. Same algorithms, same event queue (queue.hpp), same random
// numbers, so that event count, latencies, histograms and breakdown come out the same to the last picosecond; anything the scenario
// does not reach (faults, invalidations, restarts, permissions) stops the program. Written as one would in C++: 64-bit integers for time
// and addresses, structures by value, tables of structures.
// g++ -O3 -march=native -std=c++20 end-to-end.cpp -o end-to-end;  end-to-end IMAGE WARMUP OPERATIONS REPETITIONS trace|plain
// IMAGE is written by bench/end-to-end.mjs: the scenario's numbers and the 64-bit words of simulated memory at its start.
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>

#include "queue.hpp"

typedef uint64_t u64;

[[noreturn]] static void stop(const char* why) {
  fprintf(stderr, "end-to-end: %s\n", why);
  exit(1);
}

// ---------------------------------------------------------------------------------------------------------------- image

struct Image {
  std::map<std::string, i64> numbers;
  vector<std::pair<u64, u64>> words;
  explicit Image(const char* name) {
    FILE* file = fopen(name, "r");
    if (!file) stop("no image");
    char key[64];
    long long value;
    while (fscanf(file, "%63s %lld", key, &value) == 2) {
      if (!strcmp(key, "words")) break;
      numbers[key] = value;
    }
    unsigned long long address, word;
    while (fscanf(file, "%llx %llx", &address, &word) == 2) words.push_back({address, word});
    fclose(file);
  }
  i64 operator[](const char* key) const {
    auto found = numbers.find(key);
    if (found == numbers.end()) stop(key);
    return found->second;
  }
};

// --------------------------------------------------------------------------------------------------------------- kernel

enum Op : i32 { DeviceCredit, DeviceDone, PortArrive, IommuLookup, WalkRead, WalkReplay, MemoryServed };

struct Kernel {
  Twin queue;
  i64 dispatched = 0;
  i64 now() const { return queue.clock; }
  void after(i64 delay, Event* e, i32 op) {
    e->op = op;
    queue.push(delay, e);
  }
  Event* next() {
    dispatched++;
    return queue.pop();
  }
};

struct Fifo {
  Event *head = nullptr, *tail = nullptr;
  int length = 0;
  void push(Event* e) {
    e->next = nullptr;
    if (tail) tail->next = e;
    else head = e;
    tail = e;
    length++;
  }
  Event* pop() {
    Event* e = head;
    if (!e) return nullptr;
    head = e->next;
    if (!head) tail = nullptr;
    length--;
    return e;
  }
};

struct Server {
  i64 freeAt = 0, booked = 0;
  i64 book(i64 now, i64 service) {
    booked += service;
    i64 start = std::max(freeAt, now);
    freeAt = start + service;
    return start - now;
  }
};

// xoroshiro128+ (24, 16, 37), low word of the sum.
struct Random {
  u64 a, b;
  u32 next() {
    u32 out = (u32)(a + b);
    u64 x = a ^ b;
    a = std::rotl(a, 24) ^ x ^ (x << 16);
    b = std::rotl(x, 37);
    return out;
  }
  u32 below(u32 n) {
    u64 product = (u64)next() * n;
    if ((u32)product < n) {
      u32 threshold = -n % n;
      while ((u32)product < threshold) product = (u64)next() * n;
    }
    return product >> 32;
  }
};

// ----------------------------------------------------------------------------------------------------------- statistics

struct Histogram {
  static constexpr int LG2 = 7, SUB = 1 << LG2;
  vector<i64> counts = vector<i64>(2 * SUB);
  i64 count = 0, low = std::numeric_limits<i64>::max(), high = 0;
  __int128 sum = 0;
  static int bucket(u64 value) {
    if (value < 2 * SUB) return value;
    int shift = 63 - LG2 - std::countl_zero(value);
    return (shift << LG2) + (int)(value >> shift);
  }
  void add(i64 value) {
    size_t index = bucket(value);
    if (index >= counts.size()) counts.resize((index / SUB + 1) * SUB);
    counts[index]++;
    count++;
    low = std::min(low, value);
    high = std::max(high, value);
    sum += value;
  }
};

struct TimeAverage {
  i64 value = 0, since = 0, most = 0;
  double area = 0;
  void add(i64 now, i64 delta) {
    area += (double)value * (now - since);
    since = now;
    value += delta;
    most = std::max(most, value);
  }
};

enum Cause { Device, Credits, LinkUp, Ingress, Lookup, WalkQueue, Directory, Walk, WalkMerged, Order, Memory, LinkDown, Retire, Stalled, CAUSES };

struct Ledger {
  struct Slot {
    i64 startedAt, since, parts[CAUSES];
  };
  vector<Slot> slots;
  i64 totals[CAUSES] = {}, finished = 0;
  void start(int slot, i64 now) { slots[slot] = {now, now, {}}; }
  void charge(int slot, Cause cause, i64 now) {
    Slot& s = slots[slot];
    i64 elapsed = now - s.since;
    if (elapsed < 0) stop("ledger");
    s.parts[cause] += elapsed;
    s.since = now;
  }
  void chargeFor(int slot, Cause cause, i64 ps) {
    Slot& s = slots[slot];
    if (ps < 0) stop("ledger");
    s.parts[cause] += ps;
    s.since += ps;
  }
  i64 finish(int slot, i64 now) {
    Slot& s = slots[slot];
    i64 latency = now - s.startedAt, sum = 0;
    for (i64 part : s.parts) sum += part;
    if (sum != latency || s.since != now) stop("ledger");
    for (int i = 0; i < CAUSES; i++) totals[i] += s.parts[i];
    finished++;
    return latency;
  }
};

// --------------------------------------------------------------------------------------------------------------- memory

struct Physical {
  static constexpr int LG2 = 13, SLOTS = 1 << LG2;
  struct Segment {
    u64 keys[SLOTS] = {};
    u64 lines[SLOTS][8] = {};
    int used = 0;
  };
  static constexpr u64 USED = 1ull << 63;
  int shift = 31;
  vector<std::unique_ptr<Segment>> directory;
  Physical() {
    for (int i = 0; i < 2; i++) directory.push_back(std::make_unique<Segment>());
  }
  static u32 hash(u64 line) { return (u32)((u32)line >> 2) * 0x9e3779b1u + ((u32)(line >> 32) | 1u << 31) * 0x85ebca6bu; }
  int probe(const Segment& s, u32 h, u64 line) const {
    int slot = (h >> (32 - LG2)) ^ (line & 3);
    while (s.keys[slot] && s.keys[slot] != (line | USED)) slot = (slot + 1) & (SLOTS - 1);
    return slot;
  }
  u64 read(u64 address) const {
    u64 line = address >> 6;
    u32 h = hash(line);
    const Segment& s = *directory[(h << LG2) >> shift];
    int slot = probe(s, h, line);
    return s.keys[slot] ? s.lines[slot][(address >> 3) & 7] : 0;
  }
  void write(u64 address, u64 value) {
    u64 line = address >> 6;
    u32 h = hash(line);
    Segment& s = *directory[(h << LG2) >> shift];
    int slot = probe(s, h, line);
    if (!s.keys[slot]) {
      s.keys[slot] = line | USED;
      if (++s.used > SLOTS * 15 / 16) stop("segments never split here");
    }
    s.lines[slot][(address >> 3) & 7] = value;
  }
};

struct Bank {
  vector<i64> freeAt;
  i64 booked = 0;
  i64 book(int server, i64 arrival, i64 service) {
    i64 start = std::max(freeAt[server], arrival);
    freeAt[server] = start + service;
    booked += service;
    return start - arrival;
  }
};

// Tags of a set side by side; last uses in a table of their own.
struct Llc {
  static constexpr u64 VALID = 1ull << 63, DIRTY = 1ull << 62;
  int ways, ddioWays, sets;
  vector<u64> tags;
  vector<u32> uses;
  u32 clock = 0;
  bool evictedDirty = false;
  u64 evicted = 0;
  Llc(int w, int d, i64 size) : ways(w), ddioWays(d), sets(size / (w * 64)), tags((size_t)sets * w), uses((size_t)sets * w) {}
  int wayOf(int set, u64 line) const {
    const u64* t = &tags[(size_t)set * ways];
    int way = ways - 1;
    while (way >= 0 && (t[way] & ~DIRTY) != (line | VALID)) way--;
    return way;
  }
  void touch(int set, int way) { uses[(size_t)set * ways + way] = ++clock; }
  bool read(u64 address) {
    u64 line = address >> 6;
    int set = line % sets, way = wayOf(set, line);
    if (way < 0) return false;
    touch(set, way);
    return true;
  }
  bool access(u64 address, int allowed, u64 dirty) {
    u64 line = address >> 6;
    int set = line % sets, way = wayOf(set, line);
    u64* t = &tags[(size_t)set * ways];
    evictedDirty = false;
    if (way >= 0) {
      t[way] |= dirty;
      touch(set, way);
      return true;
    }
    const u32* u = &uses[(size_t)set * ways];
    int victim = allowed - 1;
    for (way = allowed - 1; way >= 0; way--) {
      if (!t[way]) {
        victim = way;
        break;
      }
      if (clock - u[way] > clock - u[victim]) victim = way;
    }
    if (t[victim] & DIRTY) {
      evictedDirty = true;
      evicted = (t[victim] & ~(VALID | DIRTY)) << 6;
    }
    t[victim] = line | VALID | dirty;
    touch(set, victim);
    return false;
  }
};

struct MemorySystem {
  enum Kind { Read, Write, Walker, KINDS };
  Kernel& kernel;
  vector<std::pair<u64, u64>> ranges;
  Llc llc;
  Bank port, channels;
  i64 lookups[KINDS] = {}, hits[KINDS] = {}, linesRead = 0, linesWritten = 0;
  i64 latency, portLine, dramLatency, dramLine;
  MemorySystem(Kernel& k, const Image& i) : kernel(k), ranges{{(u64)i["base"], (u64)(i["base"] + i["size"])}}, llc(i["llcWays"], i["ddioWays"], i["llcSize"]) {
    port.freeAt.resize(1);
    channels.freeAt.resize(i["channels"]);
    latency = i["llcLatency"];
    portLine = i["portLine"];
    dramLatency = i["dramLatency"];
    dramLine = i["dramLine"];
  }
  bool owns(u64 address) const {
    u64 line = address & ~63ull;
    for (auto& [first, end] : ranges)
      if (line >= first && line + 64 <= end) return true;
    return false;
  }
  void home(u64 address, int bytes) const {
    for (auto& [first, end] : ranges)
      if (address >= first && address + bytes <= end) return;
    stop("address outside memory");
  }
  i64 dram(i64 at, u64 address) {
    u64 channel = ((address >> 6) + (address >> 12 & 0xfffff) + (address >> 21 & 0x7ff)) % channels.freeAt.size();
    return channels.book(channel, at, dramLine);
  }
  i64 writeBack(i64 offset) {
    linesWritten++;
    return offset + std::max(dram(kernel.now() + offset, llc.evicted), latency);
  }
  i64 deviceRead(u64 address, int bytes) {
    home(address, bytes);
    int lines = ((address & 63) + bytes + 63) >> 6;
    i64 now = kernel.now(), wait = port.book(0, now, lines * portLine), last = 0;
    for (int i = 0; i < lines; i++) {
      u64 line = address + i * 64;
      i64 offset = wait + i * portLine, arrival = offset + latency;
      lookups[Read]++;
      if (llc.read(line)) hits[Read]++;
      else {
        linesRead++;
        arrival += dram(now + offset, line) + dramLatency;
      }
      last = std::max(last, arrival);
    }
    return last;
  }
  i64 deviceWrite(u64 address, int bytes) {
    home(address, bytes);
    int lines = ((address & 63) + bytes + 63) >> 6;
    i64 wait = port.book(0, kernel.now(), lines * portLine), last = 0;
    for (int i = 0; i < lines; i++) {
      u64 line = address + i * 64;
      i64 offset = wait + i * portLine, visible = offset + latency;
      lookups[Write]++;
      if (llc.access(line, llc.ddioWays, Llc::DIRTY)) hits[Write]++;
      else if (llc.evictedDirty) visible = writeBack(offset);
      last = std::max(last, visible);
    }
    return last;
  }
  i64 walkerRead(u64 address) {
    home(address, 1);
    i64 now = kernel.now(), offset = port.book(0, now, portLine);
    lookups[Walker]++;
    if (llc.access(address, llc.ways, 0)) {
      hits[Walker]++;
      return offset + latency;
    }
    if (llc.evictedDirty) writeBack(offset);
    linesRead++;
    return offset + latency + dram(now + offset, address) + dramLatency;
  }
};

// ----------------------------------------------------------------------------------------------------------------- PCIe

enum Flag { WriteFlag = 1, Aborted = 2, EpochOdd = 4 };
static int credits16(const Event* tlp) { return tlp->flags & WriteFlag ? (tlp->bytes + 15) >> 4 : 0; }

struct CreditPool {
  struct Due {
    i64 at;
    i32 headers, data;
  };
  i64 headers, data, flight;
  vector<Due> due = vector<Due>(64);
  u32 head = 0, length = 0;
  bool take(i64 now, i64 units) {
    while (length && due[head].at <= now) {
      headers += due[head].headers;
      data += due[head].data;
      head = (head + 1) & (due.size() - 1);
      length--;
    }
    if (headers < 1 || data < units) return false;
    headers--;
    data -= units;
    return true;
  }
  void give(i64 now, i32 units) {
    if (length == due.size()) {
      std::rotate(due.begin(), due.begin() + head, due.end());
      head = 0;
      due.resize(2 * length);
    }
    due[(head + length++) & (due.size() - 1)] = {now + flight, 1, units};
  }
  i64 nextDue() const { return length ? due[head].at : -1; }
};

struct Link {
  Kernel& kernel;
  Ledger& ledger;
  Event* wake;
  Server up, down;
  CreditPool posted, nonPosted;
  i64 femto, latency, requestOverhead, completionOverhead, maxPayload;
  i64 upBytes = 0, downBytes = 0, stalls = 0;
  int blocked = 0;
  Link(Kernel& k, Ledger& l, Event* w, const Image& i)
      : kernel(k), ledger(l), wake(w), posted{i["postedHeaders"], i["postedData"], i["creditReturn"]}, nonPosted{i["nonPostedHeaders"], 1 << 30, i["creditReturn"]} {
    femto = i["femto"];
    latency = i["linkLatency"];
    requestOverhead = i["requestOverhead"];
    completionOverhead = i["completionOverhead"];
    maxPayload = i["maxPayload"];
  }
  CreditPool& pool(const Event* tlp) { return tlp->flags & WriteFlag ? posted : nonPosted; }
  i64 serialise(i64 bytes) const { return (bytes * femto + 500) / 1000; }
  bool send(Event* tlp) {
    i64 now = kernel.now();
    CreditPool& credits = pool(tlp);
    if (!credits.take(now, credits16(tlp))) {
      stalls++;
      awaitCredit(credits, now);
      return false;
    }
    i64 bytes = requestOverhead + (tlp->flags & WriteFlag ? tlp->bytes : 0), service = serialise(bytes);
    i64 end = up.book(now, service) + service;
    upBytes += bytes;
    ledger.chargeFor(tlp->id, LinkUp, end + latency);
    kernel.after(end + latency, tlp, PortArrive);
    return true;
  }
  void returnCredits(const Event* tlp) {
    i64 now = kernel.now();
    CreditPool& credits = pool(tlp);
    credits.give(now, credits16(tlp));
    if (blocked == 1) awaitCredit(credits, now);
  }
  void complete(Event* tlp, i64 overhead) {
    i64 now = kernel.now(), chunks = (tlp->bytes - 1) / maxPayload + 1, bytes = chunks * completionOverhead + tlp->bytes;
    i64 service = serialise(bytes), end = down.book(now, service) + service;
    downBytes += bytes;
    ledger.chargeFor(tlp->id, LinkDown, end + latency);
    ledger.chargeFor(tlp->id, Device, overhead);
    kernel.after(end + latency + overhead, tlp, DeviceDone);
  }
  void awaitCredit(const CreditPool& credits, i64 now) {
    if (blocked == 2) return;
    i64 due = credits.nextDue();
    blocked = due < 0 ? 1 : 2;
    if (due >= 0) kernel.after(std::max<i64>(due - now, 0), wake, DeviceCredit);
  }
};

struct IommuUnit;

struct RootPort {
  Kernel& kernel;
  Ledger& ledger;
  MemorySystem& memory;
  Link& link;
  i64 readOverhead;
  IommuUnit* translator = nullptr;
  void arrive(Event* tlp);
  bool served(Event* tlp);
  void forward(Event* tlp) {
    link.returnCredits(tlp);
    if (!memory.owns(tlp->out)) stop("aborted");
    i64 delay = tlp->flags & WriteFlag ? memory.deviceWrite(tlp->out, tlp->bytes) : memory.deviceRead(tlp->out, tlp->bytes);
    ledger.chargeFor(tlp->id, Memory, delay);
    kernel.after(delay, tlp, MemoryServed);
  }
};

// ---------------------------------------------------------------------------------------------------------------- IOMMU

struct Cache {
  struct Entry {
    u32 k0, k1, k2, stamp;
    bool valid;
  };
  vector<Entry> table;
  u32 ways, mask, clock = 0;
  i64 lookups = 0, hits = 0, fills = 0, evictions = 0;
  int occupancy = 0;
  u32 victimKey2 = 0;
  Cache(int entries, int w) : table(entries), ways(w), mask(entries / w - 1) {}
  Entry* set(u32 a, u32 b, u32 c) { return &table[((a ^ ((b ^ b >> 16) * 0x9e3779b1u) ^ (c * 0x85ebca6bu)) & mask) * ways]; }
  Entry* find(u32 a, u32 b, u32 c) {
    Entry* s = set(a, b, c);
    for (u32 i = 0; i < ways; i++)
      if (s[i].k0 == a && s[i].k1 == b && s[i].k2 == c && s[i].valid) return s + i;
    return nullptr;
  }
  int touch(u32 a, u32 b, u32 c) {
    Entry* e = find(a, b, c);
    if (!e) return -1;
    e->stamp = ++clock;
    return e - table.data();
  }
  int lookup(u32 a, u32 b, u32 c) {
    lookups++;
    int e = touch(a, b, c);
    if (e >= 0) hits++;
    return e;
  }
  int fill(u32 a, u32 b, u32 c) {
    Entry* e = find(a, b, c);
    if (!e) {
      e = victim(set(a, b, c));
      if (e->valid) {
        evictions++;
        victimKey2 = e->k2;
        occupancy--;
      }
      *e = {a, b, c, 0, true};
      occupancy++;
    }
    fills++;
    e->stamp = ++clock;
    return e - table.data();
  }
  Entry* victim(Entry* s) {
    if (occupancy < (int)table.size())
      for (u32 i = 0; i < ways; i++)
        if (!s[i].valid) return s + i;
    u32 age = 0;
    Entry* oldest = s;
    for (u32 i = 0; i < ways; i++) {
      if (clock - s[i].stamp > age) {
        age = clock - s[i].stamp;
        oldest = s + i;
      }
    }
    return oldest;
  }
};

struct Space {
  u32 did = 0, pasid = 0, stage = 0;
  int levels = 0;
  u64 root = 0;
};

struct PageWalk {
  u64 input = 0, table = 0, entry = 0, out = 0;
  int level = 0, consumed = 0, permissions = 0, access = 0, sizeLg2 = 0;
  void aim() { entry = table | ((input >> (12 + 9 * (level - 1))) & 511) << 3; }
  void resume(u64 t, int l, int p) {
    table = t;
    level = l;
    permissions = p;
    aim();
  }
  // Second-stage entry: R and W, page size, reserved bits by kind and level. True when the walk is done.
  bool step(u64 word, u64 above) {
    static constexpr u64 ADDRESS = 0xffffffffff000, PS = 1 << 7, RESERVED = 1ull << 62;
    if (!(word & 3)) stop("entry not present");
    consumed = level;
    permissions &= (int)(word & 3);
    if (access & ~permissions) stop("permission");
    bool leaf = level == 1 || (level <= 3 && (word & PS));
    int lg2 = 12 + 9 * (level - 1);
    u64 reserved = RESERVED | above;
    if (!leaf) reserved |= PS | 1 << 11;
    else if (level > 1) reserved |= ((1ull << lg2) - 1) & ADDRESS;
    if (word & reserved) stop("reserved bit");
    if (leaf) {
      u64 offset = (1ull << lg2) - 1;
      sizeLg2 = lg2;
      out = (word & ADDRESS & ~offset) | (input & offset);
      return true;
    }
    level--;
    table = word & ADDRESS;
    aim();
    return false;
  }
};

struct Translations {
  struct Page {
    u64 address;
    i32 permission;
  };
  struct Table {
    u64 address;
    i32 permission;
  };
  Cache iotlb;
  vector<Page> pages;
  vector<Cache> structure;
  vector<vector<Table>> tables;
  int population[3] = {};
  u64 out = 0;
  int level = 0, permissions = 0;
  explicit Translations(const Image& i) : iotlb(i["iotlbEntries"], i["iotlbWays"]), pages(i["iotlbEntries"]) {
    for (const char* name : {"psc2", "psc3", "psc4", "psc5"}) {
      int entries = i[(std::string(name) + "Entries").c_str()];
      structure.emplace_back(entries, i[(std::string(name) + "Ways").c_str()]);
      tables.emplace_back(entries);
    }
  }
  static constexpr int SIZES[3] = {12, 21, 30};
  static u32 key1(const Space& s, u64 region) { return ((region >> 32) & 0xffff) | s.did << 16; }
  bool lookup(const Space& s, u64 input, int access) {
    iotlb.lookups++;
    for (int size = 0; size < 3; size++) {
      if (!population[size]) continue;
      u64 region = input >> SIZES[size];
      int e = iotlb.touch((u32)region, key1(s, region), s.pasid | size << 20 | s.stage << 22);
      if (e < 0) continue;
      if ((pages[e].permission & access) != access) return false;
      iotlb.hits++;
      out = pages[e].address | (input & ((1ull << SIZES[size]) - 1));
      return true;
    }
    return false;
  }
  void fill(const Space& s, u64 input, int size, u64 output, int granted) {
    u64 region = input >> SIZES[size];
    i64 evictions = iotlb.evictions;
    int occupancy = iotlb.occupancy;
    int e = iotlb.fill((u32)region, key1(s, region), s.pasid | size << 20 | s.stage << 22);
    if (iotlb.evictions != evictions) population[iotlb.victimKey2 >> 20 & 3]--;
    if (iotlb.occupancy != occupancy || iotlb.evictions != evictions) population[size]++;
    pages[e] = {output & ~((1ull << SIZES[size]) - 1), granted};
  }
  bool resume(const Space& s, u64 input) {
    for (int l = 2; l <= s.levels; l++) {
      u64 region = input >> (12 + 9 * (l - 1));
      int e = structure[l - 2].lookup((u32)region, key1(s, region), s.pasid | s.stage << 22);
      if (e < 0) continue;
      level = l - 1;
      out = tables[l - 2][e].address;
      permissions = tables[l - 2][e].permission;
      return true;
    }
    return false;
  }
  void fillStructure(const Space& s, u64 input, int l, u64 table, int granted) {
    u64 region = input >> (12 + 9 * (l - 1));
    int e = structure[l - 2].fill((u32)region, key1(s, region), s.pasid | s.stage << 22);
    tables[l - 2][e] = {table, granted};
  }
};

struct TransactionQueue {
  struct Lane {
    int depth, count = 0;
    Fifo ingress;
    vector<Event*> ring;
    u32 head = 0, length = 0;
    explicit Lane(int d) : depth(d), ring(std::bit_ceil((u32)d)) {}
    Event* ready() const { return length && ring[head]->state == 1 ? ring[head] : nullptr; }
  };
  Lane nonPosted, posted;
  TimeAverage occupancy;
  i64 stalls = 0;
  Lane& lane(const Event* tlp) { return tlp->flags & WriteFlag ? posted : nonPosted; }
  bool enter(Event* tlp, i64 now) {
    Lane& l = lane(tlp);
    if (l.count == l.depth || l.ingress.length) {
      stalls++;
      l.ingress.push(tlp);
      return false;
    }
    take(l, tlp, now);
    return true;
  }
  void take(Lane& l, Event* tlp, i64 now) {
    l.count++;
    occupancy.add(now, 1);
    tlp->state = 0;
    l.ring[(l.head + l.length++) & (l.ring.size() - 1)] = tlp;
  }
  Event* translated(Event* tlp) {
    tlp->state = 1;
    return lane(tlp).ready();
  }
  Event* leave(Event* tlp, i64 now) {
    Lane& l = lane(tlp);
    l.count--;
    occupancy.add(now, -1);
    l.head = (l.head + 1) & (l.ring.size() - 1);
    l.length--;
    return l.ready();
  }
  Event* admit(Event* tlp, i64 now) {
    Lane& l = lane(tlp);
    if (l.count == l.depth) return nullptr;
    Event* next = l.ingress.pop();
    if (next) take(l, next, now);
    return next;
  }
};

enum Phase { Idle, Queued, Root, Context, Table, Replay };

struct Miss {
  Phase phase = Idle;
  int requester = 0, pasid = -1;
  u64 page = 0, read = 0;
  i64 begunAt = 0, directoryPs = 0;
  Space space;
  PageWalk walk;
  Event event;
  Fifo waiters;
};

struct IommuUnit {
  static constexpr int PAGE_CLASSES = 1024;
  Kernel& kernel;
  Ledger& ledger;
  MemorySystem& memory;
  Physical& physical;
  TransactionQueue queue;
  Translations translations;
  TimeAverage walkersBusy;
  Server pipeline;
  Cache contexts;
  vector<Space> spaces;
  vector<std::unique_ptr<Miss>> misses;
  vector<int> freeMisses;
  Fifo walkQueue, missQueue;
  vector<RootPort*> forwarders;
  vector<int> requesters;
  i64 requests = 0, walks = 0, tableReads = 0, directoryReads = 0, merged = 0, missStalls = 0;
  i64 interval, lookupPs, structurePs, overhead, replayPs, root, inFlight[2] = {};
  u64 above;
  int freeWalkers, epoch = 0, mergeable[PAGE_CLASSES] = {};
  IommuUnit(Kernel& k, Ledger& l, MemorySystem& m, Physical& p, const Image& i)
      : kernel(k), ledger(l), memory(m), physical(p), queue{TransactionQueue::Lane(i["nonPostedDepth"]), TransactionQueue::Lane(i["postedDepth"]), {}}, translations(i),
        contexts(i["contextEntries"], i["contextWays"]), spaces(i["contextEntries"]) {
    for (int n = i["outstanding"], id = 0; id < n; id++) {
      misses.push_back(std::make_unique<Miss>());
      misses[id]->event.id = id;
      freeMisses.push_back(n - 1 - id);
    }
    interval = i["interval"];
    lookupPs = i["lookup"];
    structurePs = i["structure"];
    overhead = i["walkOverhead"];
    replayPs = i["replay"];
    root = i["root"];
    freeWalkers = i["walkers"];
    above = ((1ull << 52) - 1) & ~((1ull << i["hostAddressWidth"]) - 1);
  }
  static int accessOf(const Event* tlp) { return tlp->flags & WriteFlag ? 2 : 1; }

  void arrive(Event* tlp) {
    requests++;
    if (queue.enter(tlp, kernel.now())) startLookup(tlp);
  }
  void startLookup(Event* tlp) {
    i64 now = kernel.now();
    ledger.charge(tlp->id, Ingress, now);
    i64 start = pipeline.book(now, interval);
    ledger.chargeFor(tlp->id, Lookup, start + lookupPs);
    kernel.after(start + lookupPs, tlp, IommuLookup);
  }
  const Space* find(int requester) {
    int e = contexts.lookup(requester, 0, 0);
    return e < 0 ? nullptr : &spaces[e];
  }
  void lookup(Event* tlp) {
    const Space* space = find(requesters[tlp->source]);
    if (space && translations.lookup(*space, tlp->address, accessOf(tlp))) {
      tlp->out = translations.out;
      ready(tlp);
    } else miss(tlp);
  }
  void ready(Event* tlp) {
    if (epoch == 1) tlp->flags |= EpochOdd;
    inFlight[epoch]++;
    Event* out = queue.translated(tlp);
    i64 now = kernel.now();
    while (out) {
      Event* following = queue.leave(out, now);
      ledger.charge(out->id, Order, now);
      forwarders[out->source]->forward(out);
      Event* admitted = queue.admit(out, now);
      if (admitted) startLookup(admitted);
      out = following;
    }
  }
  void served(const Event* tlp) { inFlight[tlp->flags & EpochOdd ? 1 : 0]--; }
  void miss(Event* tlp) {
    int requester = requesters[tlp->source];
    u64 page = tlp->address >> 12;
    if (mergeable[page % PAGE_CLASSES])
      for (auto& m : misses)
        if (m->phase != Idle && m->page == page && m->requester == requester && m->pasid == tlp->context) {
          merged++;
          m->waiters.push(tlp);
          return;
        }
    if (freeMisses.empty()) {
      missStalls++;
      missQueue.push(tlp);
      return;
    }
    Miss& m = *misses[freeMisses.back()];
    freeMisses.pop_back();
    m.requester = requester;
    m.pasid = tlp->context;
    m.page = page;
    m.walk.input = tlp->address;
    m.waiters.push(tlp);
    m.phase = Queued;
    mergeable[page % PAGE_CLASSES]++;
    if (freeWalkers) begin(m);
    else walkQueue.push(&m.event);
  }
  void begin(Miss& m) {
    i64 now = kernel.now();
    freeWalkers--;
    walkersBusy.add(now, 1);
    walks++;
    m.begunAt = now;
    m.directoryPs = 0;
    Event* tlp = m.waiters.head;
    ledger.charge(tlp->id, WalkQueue, now);
    m.walk.access = accessOf(tlp);
    if (const Space* known = find(m.requester)) {
      m.space = *known;
      beginTable(m, overhead);
      return;
    }
    m.phase = Root;
    m.read = root | (m.requester >> 8 & 0xff) << 4;
    readDirectory(m, overhead);
  }
  void readDirectory(Miss& m, i64 delay) {
    if (!memory.owns(m.read)) stop("directory fault");
    directoryReads++;
    kernel.after(delay + memory.walkerRead(m.read), &m.event, WalkRead);
  }
  void beginTable(Miss& m, i64 delay) {
    m.directoryPs = kernel.now() - m.begunAt;
    m.phase = Table;
    m.walk.permissions = 3;
    if (translations.resume(m.space, m.walk.input)) m.walk.resume(translations.out, translations.level, translations.permissions);
    else m.walk.resume(m.space.root, m.space.levels, 3);
    follow(m, delay + structurePs);
  }
  void follow(Miss& m, i64 delay) {
    if (!memory.owns(m.walk.entry)) stop("table fault");
    tableReads++;
    kernel.after(delay + memory.walkerRead(m.walk.entry), &m.event, WalkRead);
  }
  void walkRead(Event* event) {
    Miss& m = *misses[event->id];
    if (m.phase == Table) tableEntry(m);
    else if (m.phase == Root) {
      u64 word = physical.read(m.read);
      if (!(word & 1)) stop("root entry");
      m.phase = Context;
      m.read = (word & ~0xfffull) | (m.requester & 0xff) << 4;
      readDirectory(m, 0);
    } else {
      u64 low = physical.read(m.read), high = physical.read(m.read + 8);
      if (!(low & 1) || (low & 0xc)) stop("context entry");
      m.space = {(u32)(high >> 8 & 0xffff), 0, 0, (int)(high & 7) + 2, low & ~0xfffull};
      spaces[contexts.fill(m.requester, 0, 0)] = m.space;
      beginTable(m, 0);
    }
  }
  void tableEntry(Miss& m) {
    PageWalk& w = m.walk;
    if (w.step(physical.read(w.entry), above)) {
      ended(m);
      return;
    }
    translations.fillStructure(m.space, w.input, w.consumed, w.table, w.permissions);
    follow(m, 0);
  }
  void ended(Miss& m) {
    m.phase = Replay;
    walkersBusy.add(kernel.now(), -1);
    freeWalkers++;
    if (Event* next = walkQueue.pop()) begin(*misses[next->id]);
    kernel.after(replayPs, &m.event, WalkReplay);
  }
  void walkReplay(Event* event) { replay(*misses[event->id], kernel.now()); }
  void replay(Miss& m, i64 now) {
    PageWalk& w = m.walk;
    u64 page = w.out & ~0xfffull;
    int permissions = w.permissions;
    translations.fill(m.space, w.input, w.sizeLg2 >= 30 ? 2 : w.sizeLg2 >= 21 ? 1 : 0, w.out, permissions);
    Event* tlp = m.waiters.pop();
    ledger.chargeFor(tlp->id, Directory, m.directoryPs);
    ledger.charge(tlp->id, Walk, now);
    m.phase = Idle;
    mergeable[m.page % PAGE_CLASSES]--;
    freeMisses.push_back(m.event.id);
    while (tlp) {
      Event* following = m.waiters.pop();
      if ((permissions & accessOf(tlp)) != accessOf(tlp)) stop("permission");
      tlp->out = page | (tlp->address & 4095);
      ready(tlp);
      tlp = following;
      if (tlp) ledger.charge(tlp->id, WalkMerged, now);
    }
    while (!freeMisses.empty()) {
      Event* parked = missQueue.pop();
      if (!parked) break;
      ledger.charge(parked->id, WalkQueue, now);
      lookup(parked);
    }
  }
};

void RootPort::arrive(Event* tlp) { translator->arrive(tlp); }
bool RootPort::served(Event* tlp) {
  translator->served(tlp);
  if (tlp->flags & WriteFlag) return true;
  link.complete(tlp, readOverhead);
  return false;
}

// --------------------------------------------------------------------------------------------------------------- device

struct Source {
  Random random;
  i64 base, size, blocks, reads, inFlight = 0, limit;
  u64 address = 0;
  bool write = false;
  void next() {
    address = base + random.below(blocks) * size;
    write = !(reads == 100 || (reads > 0 && random.below(100) < reads));
  }
};

struct Engine {
  struct Dma {
    i64 start;
    i32 left, size;
    bool write;
    i32 source;
  };
  Kernel& kernel;
  Ledger& ledger;
  Event credit;
  vector<Source> sources;
  Histogram reads, writes;
  i64 operations = 0, readBytes = 0, writeBytes = 0;
  Link* link = nullptr;
  vector<Dma> dmas;
  vector<int> freeSlots;
  vector<std::unique_ptr<Event>> records;
  Event *pool = nullptr, *held = nullptr;
  bool waitingForCredit = false;
  int current = -1;
  u64 currentAddress = 0;
  i32 currentLeft = 0;
  i64 gateAt = 0, tagsFree, readBytesFree, readsInFlight = 0, maxPayload, maxReadRequest;
  u32 turn = 0, trace = 0;
  bool tracing = false;
  Engine(Kernel& k, Ledger& l, const Image& i) : kernel(k), ledger(l) {
    int slots = i["slots"], tags = i["tags"], size = i["records"];
    dmas.resize(slots);
    for (int s = slots - 1; s >= 0; s--) freeSlots.push_back(s);
    for (int id = size - 1; id >= 0; id--) {
      records.push_back(std::make_unique<Event>());
      Event* e = records.back().get();
      e->id = id;
      e->next = pool;
      pool = e;
    }
    tagsFree = tags;
    readBytesFree = i["outstandingReadBytes"];
    maxPayload = i["maxPayload"];
    maxReadRequest = i["maxReadRequest"];
    ledger.slots.resize(size);
    u64 a = (u64)(u32)i["random0"] << 32 | (u32)i["random1"], b = (u64)(u32)i["random2"] << 32 | (u32)i["random3"];
    sources.push_back({{a, b}, i["iova"], i["bytes"], i["window"] / i["bytes"], i["reads"], 0, std::min(i["depth"], (i64)slots)});
  }
  void pump() {
    for (;;) {
      if (current >= 0 && !sendCurrent()) return;
      Source* source = choose();
      if (!source) return;
      startDma(*source);
    }
  }
  Source* choose() {
    if (freeSlots.empty()) return nullptr;
    u32 n = sources.size();
    for (u32 k = 0; k < n; k++) {
      u32 i = turn + k < n ? turn + k : turn + k - n;
      if (sources[i].inFlight >= sources[i].limit) continue;
      if (gateAt > kernel.now()) stop("issue gate");
      turn = i + 1 == n ? 0 : i + 1;
      return &sources[i];
    }
    return nullptr;
  }
  void startDma(Source& source) {
    i64 now = kernel.now();
    source.next();
    source.inFlight++;
    int slot = freeSlots.back();
    freeSlots.pop_back();
    dmas[slot] = {now, 0, (i32)source.size, source.write, (i32)(&source - sources.data())};
    gateAt = now;
    current = slot;
    currentAddress = source.address;
    currentLeft = source.size;
  }
  bool sendCurrent() {
    Dma& dma = dmas[current];
    if (!dma.write && currentLeft == dma.size && !held) readsInFlight++;
    while (currentLeft > 0) {
      Event* tlp = held;
      if (!tlp) {
        i64 bytes = std::min<i64>({currentLeft, dma.write ? maxPayload : maxReadRequest, 4096 - (i64)(currentAddress & 4095)});
        if (!dma.write && (!tagsFree || readBytesFree < bytes)) return false;
        tlp = pool;
        if (!tlp) return false;
        pool = tlp->next;
        tlp->source = 0;
        tlp->parent = current;
        tlp->flags = dma.write ? WriteFlag : 0;
        tlp->bytes = bytes;
        tlp->address = currentAddress;
        tlp->context = -1;
        ledger.start(tlp->id, dma.start);
      }
      if (waitingForCredit) return false;
      ledger.charge(tlp->id, held ? Credits : Device, kernel.now());
      if (!link->send(tlp)) {
        held = tlp;
        waitingForCredit = true;
        return false;
      }
      held = nullptr;
      if (!dma.write) {
        tagsFree--;
        readBytesFree -= tlp->bytes;
      }
      dma.left++;
      currentLeft -= tlp->bytes;
      currentAddress += tlp->bytes;
    }
    current = -1;
    return true;
  }
  void give(Event* tlp) {
    tlp->next = pool;
    pool = tlp;
  }
  void done(Event* tlp) {
    int slot = tlp->parent;
    Dma& dma = dmas[slot];
    if (!(tlp->flags & WriteFlag)) {
      tagsFree++;
      readBytesFree += tlp->bytes;
    }
    bool last = --dma.left == 0 && slot != current;
    if (last && !dma.write) readsInFlight--;
    if (last) finish(tlp, slot);
    else give(tlp);
    pump();
  }
  void finish(Event* tlp, int slot) {
    i64 latency = ledger.finish(tlp->id, kernel.now());
    if (tracing) trace = ((trace * 31) ^ (u32)latency) * 31 + tlp->id;
    give(tlp);
    Dma& dma = dmas[slot];
    sources[dma.source].inFlight--;
    freeSlots.push_back(slot);
    (dma.write ? writeBytes : readBytes) += dma.size;
    (dma.write ? writes : reads).add(latency);
    operations++;
  }
};

// -------------------------------------------------------------------------------------------------------------- machine

struct Machine {
  Kernel kernel;
  Ledger ledger;
  Physical physical;
  MemorySystem memory;
  vector<std::unique_ptr<Engine>> engines;
  vector<std::unique_ptr<Link>> links;
  vector<std::unique_ptr<RootPort>> ports;
  vector<std::unique_ptr<IommuUnit>> units;
  explicit Machine(const Image& i) : memory(kernel, i) {
    for (auto [address, word] : i.words) {
      // A line is warm as soon as it exists; its words follow each other in the image.
      physical.write(address, word);
      memory.llc.access(address, memory.llc.ways, Llc::DIRTY);
    }
    for (u64 a = i["windowAddress"], end = a + i["window"]; a < end; a += 64) memory.llc.access(a, memory.llc.ways, Llc::DIRTY);
    engines.push_back(std::make_unique<Engine>(kernel, ledger, i));
    links.push_back(std::make_unique<Link>(kernel, ledger, &engines[0]->credit, i));
    ports.push_back(std::make_unique<RootPort>(RootPort{kernel, ledger, memory, *links[0], i["readOverhead"]}));
    units.push_back(std::make_unique<IommuUnit>(kernel, ledger, memory, physical, i));
    units[0]->forwarders.push_back(ports[0].get());
    units[0]->requesters.push_back(i["requester"]);
    ports[0]->translator = units[0].get();
    engines[0]->link = links[0].get();
    engines[0]->pump();
  }
  void run(i64 operations) {
    Engine& engine = *engines[0];
    i64 end = engine.operations + operations;
    while (engine.operations != end) {
      Event* e = kernel.next();
      if (!e) stop("idle");
      switch (e->op) {
        case PortArrive: ports[e->source]->arrive(e); break;
        case IommuLookup: units[e->unit]->lookup(e); break;
        case MemoryServed:
          if (ports[e->source]->served(e)) engines[e->source]->done(e);
          break;
        case DeviceDone: engines[e->source]->done(e); break;
        case WalkRead: units[e->unit]->walkRead(e); break;
        case WalkReplay: units[e->unit]->walkReplay(e); break;
        case DeviceCredit:
          links[e->unit]->blocked = 0;
          engines[e->unit]->waitingForCredit = false;
          engines[e->unit]->pump();
          break;
      }
    }
  }
};

static double cpuNs() {
  rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e9 + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e3;
}

static u32 hashOf(const Histogram& h) {
  u32 sum = 0;
  for (size_t i = 0; i < h.counts.size(); i++)
    if (h.counts[i]) sum = (sum * 31 + (u32)i) * 31 + (u32)h.counts[i];
  return sum;
}

int main(int count, char** a) {
  if (count != 6) return 2;
  Machine machine{Image(a[1])};
  Engine& engine = *machine.engines[0];
  engine.tracing = !strcmp(a[5], "trace");
  machine.run(atoll(a[2]));
  i64 operations = atoll(a[3]);
  vector<double> cpu;
  for (int r = 0; r < atoi(a[4]); r++) {
    double start = cpuNs();
    machine.run(operations);
    cpu.push_back((cpuNs() - start) / operations);
  }
  std::sort(cpu.begin(), cpu.end());
  const IommuUnit& unit = *machine.units[0];
  printf("{\"ns\":%.3f,\"best\":%.3f,\"events\":%lld,\"clock\":%lld,\"trace\":%u,", cpu[cpu.size() / 2], cpu[0], (long long)machine.kernel.dispatched, (long long)machine.kernel.now(), engine.trace);
  printf("\"histograms\":[%u,%u],\"parts\":[", hashOf(engine.reads), hashOf(engine.writes));
  for (int i = 0; i < CAUSES; i++) printf("%s%lld", i ? "," : "", (long long)machine.ledger.totals[i]);
  printf("],\"counters\":[%lld,%lld,%lld,%lld,%lld]}\n", (long long)unit.requests, (long long)unit.translations.iotlb.hits, (long long)unit.walks, (long long)unit.tableReads, (long long)unit.merged);
}
