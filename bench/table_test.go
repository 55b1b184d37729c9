//go:build unix

package bench

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"
)

// rounds is how often each way is measured, in turn with the others, so that
// what the machine does meanwhile meets all of them.
const rounds = 5

// A sample is what a way cost in one round, each for one unit.
type sample struct{ wall, cpu, bytes float64 }

// A cell is all ways of one benchmark, the floor first.
type cell struct {
	name, unit string
	ways       []string
	samples    map[string][]sample
}

// A table is the cells in the order in which they were measured.
type table struct {
	cells []*cell
	last  string // the benchmark whose sample was added last
}

var results table

// add adds a sample. The function of a benchmark is called with growing b.N,
// and of its samples only the last counts.
func (t *table) add(benchmark, name, unit, way string, s sample) {
	i := slices.IndexFunc(t.cells, func(c *cell) bool { return c.name == name })
	if i < 0 {
		i = len(t.cells)
		t.cells = append(t.cells, &cell{name: name, unit: unit, samples: map[string][]sample{}})
	}
	c := t.cells[i]
	if c.samples[way] == nil {
		c.ways = append(c.ways, way)
	}
	if t.last == benchmark {
		c.samples[way] = c.samples[way][:len(c.samples[way])-1]
	}
	t.last = benchmark
	c.samples[way] = append(c.samples[way], s)
}

// print writes the medians of all rounds, and beside them the medians of each
// round's ratio to the floor.
func (t *table) print(w io.Writer) {
	if len(t.cells) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s/%s, %s, %d cores, %d rounds\n\n", runtime.GOOS, runtime.GOARCH, runtime.Version(), runtime.NumCPU(), rounds)
	fmt.Fprintln(w, "| | | per second | CPU us | x floor | bytes | x floor | wall us | x floor |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|")
	for _, c := range t.cells {
		for _, way := range c.ways {
			fmt.Fprintf(w, "| %s | %s | %.0f", c.name, way, 1e9/c.median(way, wall))
			for _, m := range []struct {
				of    func(sample) float64
				scale float64
			}{{cpu, 1000}, {bytes, 1}, {wall, 1000}} {
				if c.median(way, m.of) == 0 {
					fmt.Fprint(w, " | | ")
					continue
				}
				fmt.Fprintf(w, " | %s | %.2f", number(c.median(way, m.of)/m.scale), c.ratio(way, m.of))
			}
			fmt.Fprintln(w, " |")
		}
	}
}

func wall(s sample) float64  { return s.wall }
func cpu(s sample) float64   { return s.cpu }
func bytes(s sample) float64 { return s.bytes }

// number writes three digits that matter.
func number(f float64) string {
	if f < 100 {
		return fmt.Sprintf("%#.3g", f)
	}
	return fmt.Sprintf("%.0f", f)
}

func (c *cell) median(way string, of func(sample) float64) float64 {
	var values []float64
	for _, s := range c.samples[way] {
		values = append(values, of(s))
	}
	return median(values)
}

// ratio returns the median of the ratios to the floor in the same round.
func (c *cell) ratio(way string, of func(sample) float64) float64 {
	var ratios []float64
	for i, s := range c.samples[way] {
		ratios = append(ratios, of(s)/of(c.samples[c.ways[0]][i]))
	}
	return median(ratios)
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// measure takes the sample of a benchmark that does units of something in each
// of its iterations. CPU time and bytes are those of this process.
func measure(b *testing.B, cell, way, unit string, units int, body func()) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	cpu := cpuTime(syscall.RUSAGE_SELF)
	b.ResetTimer()
	body()
	b.StopTimer()
	cpu = cpuTime(syscall.RUSAGE_SELF) - cpu
	runtime.ReadMemStats(&after)
	record(b, cell, way, unit, units, cpu, float64(after.TotalAlloc-before.TotalAlloc))
}

// measureChildren takes the sample of a benchmark that starts a process in each
// of its iterations. CPU time is that of the processes.
func measureChildren(b *testing.B, cell, way string, body func()) {
	cpu := cpuTime(syscall.RUSAGE_CHILDREN)
	b.ResetTimer()
	body()
	b.StopTimer()
	record(b, cell, way, "start", 1, cpuTime(syscall.RUSAGE_CHILDREN)-cpu, 0)
}

func record(b *testing.B, cell, way, unit string, units int, cpu time.Duration, bytes float64) {
	n := float64(b.N * units)
	s := sample{float64(b.Elapsed().Nanoseconds()) / n, float64(cpu.Nanoseconds()) / n, bytes / n}
	b.ReportMetric(s.wall, "ns/"+unit)
	b.ReportMetric(s.cpu, "cpu-ns/"+unit)
	if bytes > 0 {
		b.ReportMetric(s.bytes, "B/"+unit)
	}
	results.add(b.Name(), cell, unit, way, s)
}

func cpuTime(who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
