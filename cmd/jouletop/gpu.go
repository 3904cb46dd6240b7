package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"jouletop/engine/llama"
	"jouletop/engine/nulljson"
	"jouletop/engine/worker"
	"jouletop/gpu"
	"jouletop/gpu/clockguard"
	"jouletop/gpu/sampler"
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
			return showGPU(cmd.Context(), &o, cmd.Flags().Changed("device"))
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

// gpuState is one GPU; what could not be found out is null, and in Problems.
type gpuState struct {
	ID        string            `json:"id"`
	Info      gpu.Info          `json:"info"`
	Sensors   []gpu.PowerSource `json:"sensors"`
	Processes []gpu.Process     `json:"other_processes"`
	Problems  []string          `json:"problems,omitempty"`
	// Unusable says why nothing of it could be read but its index.
	Unusable string `json:"unusable,omitempty"`
}

type engineReport struct {
	Devices    []llama.Device `json:"devices"`
	BuildFlags []string       `json:"build_flags"`
	Warning    string         `json:"warning,omitempty"`
}

// showGPU reports on the GPUs named, or on all there are. What one of them cannot
// tell, or that it cannot be used, keeps nothing else from the report.
func showGPU(ctx context.Context, o *options, named bool) error {
	rigs, unusable, err := openEach(ctx, o, named)
	if err != nil {
		return err
	}
	for _, r := range rigs {
		defer r.Close()
	}
	rep := gpuReport{GPUs: []gpuState{}}
	show := func(st gpuState) error {
		rep.GPUs = append(rep.GPUs, st)
		if o.json {
			return nil
		}
		return st.write(os.Stdout, rep) // at once: each takes some seconds
	}
	for _, r := range rigs {
		rep.Simulated, rep.Control = r.simulated(), controlText(r, o)
		if err := show(describeGPU(r)); err != nil {
			return err
		}
	}
	for _, st := range unusable {
		if err := show(st); err != nil {
			return err
		}
	}
	rep.Engine = describeEngine(o, !rep.Simulated)
	if o.json {
		err = nulljson.Write(os.Stdout, rep)
	} else {
		err = rep.Engine.write(os.Stdout)
	}
	if err == nil && (named || len(rigs) == 0) && len(unusable) > 0 {
		err = fmt.Errorf("GPU %s: %s", unusable[0].ID, unusable[0].Unusable)
	}
	return err
}

// openEach opens the GPUs one by one, so that one that fails hides no other.
func openEach(ctx context.Context, o *options, named bool) (rigs []*rig, unusable []gpuState, err error) {
	if _, sim, err := wantsSim(o.gpu); err != nil || sim {
		r, err := openRig(ctx, o, 0, 0)
		return []*rig{r}, nil, err
	}
	if !named {
		o.devices = []string{allDevices}
	}
	indices, err := o.indices()
	if err != nil { // which openRig tells of, or simulates a GPU
		if !named {
			o.devices = []string{defaultDevice}
		}
		r, err := openRig(ctx, o, 0, 0)
		return []*rig{r}, nil, err
	}
	for _, i := range indices {
		gpus, err := openDevices([]int{i})
		if err == nil {
			var r *rig
			if r, err = realRig(ctx, o, gpus); err == nil {
				rigs = append(rigs, r)
				continue
			}
		}
		if _, bad := errors.AsType[usageError](err); bad {
			return nil, nil, err
		}
		unusable = append(unusable, gpuState{ID: strconv.Itoa(i), Info: gpu.UnknownInfo(i), Unusable: err.Error()})
	}
	return rigs, unusable, nil
}

// describeGPU finds out what there is to tell of a rig's GPU.
func describeGPU(r *rig) gpuState {
	dev := r.gpus[0].dev
	info := dev.Info()
	st := gpuState{ID: info.ID(), Info: info}
	problem := func(err error) {
		if err != nil {
			st.Problems = append(st.Problems, oneLine(err.Error()))
		}
	}
	others, err := gpu.OtherProcesses(dev, r.ownPIDs())
	if problem(err); err == nil {
		st.Processes = append([]gpu.Process{}, others...) // none is not unknown
	}
	problem(r.do(func() (err error) {
		st.Sensors, err = sampler.Discover(dev, r.clk, discoverTime)
		return err
	}))
	st.Problems = append(st.Problems, r.takeNotes()...)
	return st
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
	if g.Unusable != "" {
		_, err := fmt.Fprintf(w, "GPU %s: cannot be used: %s\n\n", g.ID, oneLine(g.Unusable))
		return err
	}
	fmt.Fprintf(w, "%sGPU %s: %s\n", mark, g.ID, orUnknown(i.Name))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "  %s\t"+format+"\n", append([]any{name}, args...)...)
	}
	if !rep.Simulated {
		row("driver", "%s, VBIOS %s", orUnknown(i.Driver), orUnknown(i.VBIOS))
	}
	if len(i.SMClocks) > 0 {
		row("SM clock", "%d to %d MHz, %d steps", i.MinSM(), i.MaxSM(), len(i.SMClocks))
	} else {
		row("SM clock", "range unknown")
	}
	row("memory", "%s, clock %s", withUnit(i.MemoryMiB, "MiB"), withUnit(i.MemMHz, "MHz"))
	if i.PowerLimitW > 0 {
		row("power limit", "%.0f W", i.PowerLimitW)
	} else {
		row("power limit", "unknown")
	}
	row("clock control", "%s", rep.Control)
	for _, h := range i.Hidden {
		row("hidden", "%s", h)
	}
	for _, p := range g.Processes {
		row("other process", "%s (pid %d, memory %s): its energy would be counted as ours", orUnknown(p.Name), p.PID, withUnit(p.MemoryMiB, "MiB"))
	}
	for _, p := range g.Problems {
		row("problem", "%s", p)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(g.Sensors) == 0 {
		_, err := fmt.Fprint(w, "\nNo power source gives a reading: energy cannot be measured.\n\n")
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

// withUnit writes a whole number with its unit; below zero it is unknown.
func withUnit(n int, unit string) string {
	if n < 0 {
		return "unknown"
	}
	return fmt.Sprintf("%d %s", n, unit)
}

// orUnknown writes a text that may be missing.
func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
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
