// Event queue benchmark, C++ twin of src/kernel (queue.ts, fine-rung.ts, far-wheel.ts) and std::priority_queue.
// Same algorithm, same constants, same programs and checksums as bench/queue-hold.mjs.
// g++ -O3 -march=native -std=c++20 hold.cpp -o hold;  hold VARIANT PROGRAM PENDING OPS REPETITIONS DELAYS PHASES
// (DELAYS, PHASES: files of 65536 doubles, picoseconds). Prints one JSON line.
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <queue>
#include <string>
#include <vector>

#include "queue.hpp"

// What a C++ simulator is usually built on.
struct Standard {
  struct Entry {
    i64 time;
    u32 sequence;
    Event* event;
  };
  struct Later {
    bool operator()(const Entry& a, const Entry& b) const { return a.time > b.time || (a.time == b.time && a.sequence > b.sequence); }
  };
  std::priority_queue<Entry, vector<Entry>, Later> queue;
  u32 sequence = 0;
  i64 clock = 0;
  void push(i64 delay, Event* e) { queue.push({clock + delay, sequence++, e}); }
  Event* pop() {
    if (queue.empty()) return nullptr;
    Event* e = queue.top().event;
    clock = queue.top().time;
    queue.pop();
    return e;
  }
};

static vector<double> load(const char* name) {
  vector<double> table(65536);
  FILE* file = fopen(name, "rb");
  if (!file || fread(table.data(), 8, table.size(), file) != table.size()) exit(1);
  fclose(file);
  return table;
}

static double cpuNs() {
  rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e9 + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e3;
}

template <class Queue>
static int run(const std::string& program, int pending, int ops, int repetitions, const vector<double>& delays, const vector<double>& phases) {
  Queue queue;
  vector<Event*> events;
  for (int i = 0; i < pending; i++) {
    events.push_back(new Event);
    events[i]->id = i;
  }
  u32 sum = 0, c = pending;
  if (program == "hold")
    for (int i = 0; i < pending; i++) queue.push((i64)phases[i & 65535], events[i]);
  vector<double> cpu;
  for (int r = 0; r <= repetitions; r++) {
    double start = cpuNs();
    for (int done = 0; done < ops;) {
      int n = program == "hold" ? std::min(65536, ops - done) : pending;
      u32 h = 0;
      if (program == "hold") {
        for (int i = 0; i < n; i++) {
          Event* e = queue.pop();
          h = h * 31 + e->id;
          e->op = 1;
          queue.push((i64)delays[c++ & 65535], e);
        }
      } else {
        for (int i = 0; i < n; i++) {
          events[i]->op = 1;
          queue.push((i64)delays[i & 65535], events[i]);
        }
        for (int i = 0; i < n; i++) h = h * 31 + queue.pop()->id;
      }
      sum = sum * 17 + (h ^ (u32)queue.clock);
      done += n;
    }
    if (r) cpu.push_back((cpuNs() - start) / ops);
  }
  std::sort(cpu.begin(), cpu.end());
  printf("{\"ns\":%.2f,\"sum\":%d}\n", cpu[cpu.size() / 2], (i32)sum);
  return 0;
}

int main(int count, char** a) {
  if (count != 8) return 2;
  auto delays = load(a[6]), phases = load(a[7]);
  if (std::string(a[1]) == "twin") return run<Twin>(a[2], atoi(a[3]), atoi(a[4]), atoi(a[5]), delays, phases);
  return run<Standard>(a[2], atoi(a[3]), atoi(a[4]), atoi(a[5]), delays, phases);
}
