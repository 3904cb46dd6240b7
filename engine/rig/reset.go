package rig

import (
	"context"
	"fmt"
	"io"

	"jouletop/engine/usage"
	"jouletop/gpu/clockguard"
)

// ResetClocks gives clocks of ours that are still locked back to the driver, with force
// any, and says on out what it did.
func ResetClocks(ctx context.Context, o *Config, force bool, out io.Writer) error {
	if o.ReadOnly {
		return usage.Errorf("gpu reset sets clocks; leave --read-only out")
	}
	if _, sim, err := wantsSim(o.GPU); err != nil || sim {
		if err == nil {
			err = usage.Errorf("a simulated GPU has nothing to give back")
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
		info := g.Device.Info()
		text, err := clockguard.Reset(ctx, info, clockguard.Options{}, force)
		if err != nil {
			return err
		}
		if text == "" {
			text = fmt.Sprintf("GPU %s: no clock of ours is locked; nothing to give back (--force resets any lock)", info.ID())
		}
		fmt.Fprintln(out, text)
	}
	return nil
}
