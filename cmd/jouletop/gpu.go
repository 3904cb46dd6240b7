package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"jouletop/engine/llama"
	"jouletop/engine/worker"
	"jouletop/gpu"
	"jouletop/gpu/clockguard"
	"jouletop/gpu/nvml"
)

// discoverTime is how long the sensors are watched to learn their periods.
const discoverTime = 3 * time.Second

func newGPU() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "gpu",
		Short: "What each GPU can tell and do: clocks, sensors and their periods, permission, other processes",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, sim, _ := wantsSim(o.gpu); !sim && !cmd.Flags().Changed("device") {
				if n, err := nvml.Count(); err == nil && n > 1 {
					o.devices = []string{allDevices}
				}
			}
			return showGPU(cmd.Context(), &o)
		},
	}
	f := c.PersistentFlags()
	o.addGPU(f)
	f.StringVar(&o.backendDir, "backend-dir", "", "`folder` of llama.cpp's GPU backends (libggml-cuda.so)")
	f.BoolVar(&o.json, "json", false, "as JSON")
	f.Uint64Var(&o.seed, "seed", 1, "seed of a simulated GPU")
	c.AddCommand(newGPUReset(&o), newGPUSwitching(&o))
	return c
}

// gpuReport is what `jouletop gpu` tells.
type gpuReport struct {
	Simulated bool         `json:"simulated"`
	Control   string       `json:"clock_control"`
	GPUs      []gpuState   `json:"gpus"`
	Engine    engineReport `json:"engine"`
}

type gpuState struct {
	ID        string            `json:"id"`
	Info      gpu.Info          `json:"info"`
	Sensors   []gpu.PowerSource `json:"sensors"`
	Processes []gpu.Process     `json:"other_processes"`
}

type engineReport struct {
	Devices    []llama.Device `json:"devices"`
	BuildFlags []string       `json:"build_flags"`
	Warning    string         `json:"warning,omitempty"`
}

func showGPU(ctx context.Context, o *options) error {
	r, err := openRig(ctx, o, 0, 0)
	if err != nil {
		return err
	}
	defer r.Close()
	rep := gpuReport{Simulated: r.simulated(), Control: controlText(r, o)}
	others, err := r.otherProcesses()
	if err != nil {
		return err
	}
	for _, g := range r.gpus {
		info := g.dev.Info()
		st := gpuState{ID: info.ID(), Info: info, Processes: others[info.ID()]}
		err := r.do(func() (err error) {
			st.Sensors, err = gpu.Discover(g.dev, r.clk, discoverTime)
			return err
		})
		if err != nil {
			return fmt.Errorf("sensors of GPU %s: %w", st.ID, err)
		}
		rep.GPUs = append(rep.GPUs, st)
		if !o.json { // at once: each takes some seconds
			if err := st.write(os.Stdout, rep); err != nil {
				return err
			}
		}
	}
	rep.Engine = describeEngine(o, !r.simulated())
	if o.json {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(rep)
	}
	return rep.Engine.write(os.Stdout)
}

// describeEngine asks llama.cpp, in a process of its own, what it sees.
func describeEngine(o *options, realGPU bool) engineReport {
	var notes bytes.Buffer
	b, err := newLlama(o, realGPU, &notes)
	if err != nil {
		return engineReport{Warning: err.Error()}
	}
	defer b.Close()
	var rep engineReport
	if w, ok := b.(*worker.Backend); ok {
		err = w.About(&rep)
	}
	if err != nil {
		return engineReport{Warning: err.Error()}
	}
	gpus := 0
	for _, d := range rep.Devices {
		if d.GPU {
			gpus++
		}
	}
	if realGPU && gpus == 0 && rep.Warning == "" {
		rep.Warning = "the engine sees no GPU: `make cuda` builds the backend it needs (or --backend-dir names it)"
		if why, _, _ := strings.Cut(notes.String(), "\n"); strings.HasPrefix(why, "GPU backends passed over") {
			rep.Warning += "; " + why
		}
	}
	return rep
}

// controlText says whether clocks can be set here, and how to get there.
func controlText(r *rig, o *options) string {
	switch {
	case o.readOnly:
		return "off (--read-only)"
	case r.simulated():
		return "simulated: SM clocks can be set freely"
	case os.Geteuid() == 0:
		return "this user may set SM clocks; the dashboard does so only once armed (key a)"
	case serviceThere():
		return "through the clock guard's service at " + clockguard.DefaultSocket
	}
	return "setting SM clocks needs root: run `sudo jouletop clock-guard --serve " + clockguard.DefaultSocket + "` (or its systemd unit, see the README) beside this program"
}

func (e engineReport) write(w io.Writer) error {
	fmt.Fprintln(w, "Inference engine")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, d := range e.Devices {
		fmt.Fprintf(t, "  device\t%s: %s\n", d.Name, d.Description)
	}
	fmt.Fprintf(t, "  built for\t%v\n", e.BuildFlags)
	if e.Warning != "" {
		fmt.Fprintf(t, "  warning\t%s\n", e.Warning)
	}
	return t.Flush()
}

func (g gpuState) write(w io.Writer, rep gpuReport) error {
	mark := ""
	if rep.Simulated {
		mark = "SIMULATED "
	}
	i := g.Info
	fmt.Fprintf(w, "%sGPU %s: %s\n", mark, g.ID, i.Name)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "  %s\t"+format+"\n", append([]any{name}, args...)...)
	}
	if !rep.Simulated {
		row("driver", "%s, VBIOS %s", i.Driver, i.VBIOS)
	}
	row("SM clock", "%d to %d MHz, %d steps", i.MinSM(), i.MaxSM(), len(i.SMClocks))
	row("memory", "%d MiB at %d MHz", i.MemoryMiB, i.MemMHz)
	row("power limit", "%.0f W", i.PowerLimitW)
	row("clock control", "%s", rep.Control)
	for _, h := range i.Hidden {
		row("hidden", "%s", h)
	}
	for _, p := range g.Processes {
		row("other process", "%s (pid %d, %s): its energy would be counted as ours", p.Name, p.PID, mib(p.MemoryMiB))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nPower sources, as measured just now")
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "source\trenewed every ms\taverages over ms\ta read takes ms\t")
	for _, s := range g.Sensors {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t  %s\n", s.Name, msText(s.PeriodMS), msText(s.WindowMS), msText(s.CallMS), s.Note)
	}
	fmt.Fprintln(t)
	return t.Flush()
}

func msText(ms float64) string {
	if !(ms > 0) {
		return "–"
	}
	return sig(&ms, 3)
}

func mib(n int) string {
	if n < 0 {
		return "memory unknown"
	}
	return fmt.Sprintf("%d MiB", n)
}

func newGPUReset(o *options) *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "reset",
		Short: "Give locked clocks back to the driver",
		Long: `Give a clock that jouletop locked and could not give back (after a power loss of
every process at once, say) back to the driver. --force resets any lock, another
tool's too.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return resetClocks(cmd.Context(), o, force) },
	}
	c.Flags().BoolVar(&force, "force", false, "reset whoever locked the clock")
	return c
}

func newGPUSwitching(o *options) *cobra.Command {
	var (
		clocks  string
		repeats int
		csv     bool
	)
	c := &cobra.Command{
		Use:   "switching",
		Short: "Measure call and settle time between clocks",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return measureSwitching(cmd.Context(), o, clocks, repeats, csv)
		},
	}
	c.Flags().StringVar(&clocks, "clocks", "", "SM `clocks` to switch between, as for sweep (default: three over the range)")
	c.Flags().IntVar(&repeats, "repeats", 5, "switches of each pair")
	c.Flags().BoolVar(&csv, "csv", false, "as CSV")
	return c
}

// serviceThere tells whether the clock guard's service listens.
func serviceThere() bool {
	st, err := os.Stat(clockguard.DefaultSocket)
	return err == nil && st.Mode()&os.ModeSocket != 0
}

func resetClocks(ctx context.Context, o *options, force bool) error {
	if o.readOnly {
		return usagef("gpu reset sets clocks; leave --read-only out")
	}
	if _, sim, err := wantsSim(o.gpu); err != nil || sim {
		if err == nil {
			err = usagef("a simulated GPU has nothing to give back")
		}
		return err
	}
	indices, err := o.indices()
	if err != nil {
		return err
	}
	gpus, err := openDevices(indices)
	if err != nil {
		return err
	}
	defer closeDevices(gpus)
	for _, g := range gpus {
		info := g.dev.Info()
		text, err := clockguard.Reset(ctx, info, clockguard.Options{}, force)
		if err != nil {
			return err
		}
		if text == "" {
			text = fmt.Sprintf("GPU %s: no clock of ours is locked; nothing to give back (--force resets any lock)", info.ID())
		}
		fmt.Println(text)
	}
	return nil
}
