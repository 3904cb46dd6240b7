package main

import (
	"testing"
	"time"
)

// A profile's stacks are read, and each moment counts for the deepest room that it was in.
func TestTimeIsSplitByPurpose(t *testing.T) {
	const text = `File: jouletop
Type: cpu
Duration: 60s, Total samples = 30ms
-----------+-------------------------------------------------------
      10ms   runtime.memmove
             jouletop/engine/event.Marshal
             jouletop/engine/session.(*Recorder).put
             jouletop/engine/session.(*Recorder).write
-----------+-------------------------------------------------------
       4ms   runtime.futex
             runtime.mcall
-----------+-------------------------------------------------------
    1.50ms   runtime.scanObject (inline)
             runtime.gcBgMarkWorker
-----------+-------------------------------------------------------
       2ms   jouletop/gpu/energy.rowsOf
             jouletop/engine/account.(*Account).Observe
             jouletop/engine.(*Engine).publish
             jouletop/gpu/timebase.(*Sim).Go.func1
`
	got := map[string]time.Duration{}
	for _, s := range traces(text) {
		got[purpose(s.calls)] += s.took
	}
	want := map[string]time.Duration{
		"writing: the recorder": 10 * time.Millisecond, "Go: waking, sleeping, timers": 4 * time.Millisecond,
		"Go: collecting garbage": 1500 * time.Microsecond, "fitting: what phases and requests drew": 2 * time.Millisecond,
	}
	if len(got) != len(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for what, d := range want {
		if got[what] != d {
			t.Errorf("%s: %v, want %v", what, got[what], d)
		}
	}
}

// perf's stacks are read too.
func TestPerfIsRead(t *testing.T) {
	const text = `
    ffffffff81 finish_task_switch.isra.0
    ffffffff82 do_futex
        43a4b1 runtime.futex.abi0+0x21

        6a4b10 jouletop/tui/canvas.(*Canvas).Set+0x10
        6a4c10 jouletop/tui/page.(*Live).drawText+0x1f

`
	got := perfTraces(text)
	if len(got) != 2 || purpose(got[0].calls) != "Go: waking, sleeping, timers" || purpose(got[1].calls) != "drawing: events folded in, and the picture" {
		t.Errorf("read %+v", got)
	}
}
