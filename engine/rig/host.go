package rig

import (
	"fmt"
	"io"
	"text/tabwriter"

	"jouletop/engine/event"
	"jouletop/gpu/clockguard"
	"jouletop/gpu/host"
	"jouletop/gpu/plaintext"
)

// HostReader is how an engine reads the host; nil where nothing can be read.
func (r *Rig) HostReader() func(tell func(event.HostPower), problem func(error)) (stop func()) {
	if len(r.Host) == 0 {
		return nil
	}
	return func(tell func(event.HostPower), problem func(error)) func() {
		return host.Watch(r.Clock, r.Host, func(x host.Reading) {
			tell(event.HostPower{At: event.At{TimeNS: x.TimeNS}, Source: x.Source, PowerW: x.PowerW, CounterJ: x.CounterJ})
		}, problem).Stop
	}
}

func hostSources() ([]host.Source, []host.Problem) {
	o := host.Options{Root: host.Root()}
	if serviceThere() {
		o.Counters = clockguard.HostCounters(clockguard.DefaultSocket)
	}
	return host.Find(o)
}

// HostReport is what `jouletop gpu` tells of the machine around the GPUs.
type HostReport struct {
	Sources []host.Source  `json:"sources"`
	Unread  []host.Problem `json:"unread,omitempty"`
}

func (h HostReport) write(w io.Writer) error {
	fmt.Fprintln(w, "Host power")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range h.Sources {
		text := "power"
		if s.Counter() {
			text = fmt.Sprintf("energy counter to %.0f J", s.RangeJ)
		}
		if s.PeriodMS > 0 {
			text += ", renewed every " + plaintext.Milliseconds(s.PeriodMS) + " ms"
		}
		if s.Through != "" {
			text += ", read by " + s.Through
		}
		fmt.Fprintf(t, "  %s\t%s: %s\n", s.Kind, plaintext.Line(s.Domain), text)
	}
	for _, p := range h.Unread {
		fmt.Fprintf(t, "  %s\tnot read: %s\n", p.Kind, plaintext.OneLine(p.What))
		if p.Remedy != "" {
			fmt.Fprintf(t, "  \t%s\n", p.Remedy)
		}
	}
	fmt.Fprintln(t)
	return t.Flush()
}
