package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strings"

	"jouletop/gpu"
	"jouletop/gpu/energy"
)

// mixes judges the recordings of unequal requests: the sample buffer of an 8B model,
// whose steady blocks followed at once, and the session of a 1B model against the
// session of steady blocks of the same GPU. It returns how many targets were missed.
func mixes(sessions []*recorded) (missed int, err error) {
	m, blocks, err := mixed8B(filepath.Dir(sessionsDir))
	if err == nil {
		missed += mix("8B mix", m, blocks, 0.10)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	byName := map[string]*recorded{}
	for _, s := range sessions {
		byName[s.name] = s
	}
	if a, b := byName["1b_mix"], byName["1b_blocks"]; a != nil && b != nil {
		missed += mix("1B mix", a.meter, b.steadyBlocks(), 0.15)
	}
	return missed, nil
}

// mixed8B reads the recording of mixed requests to an 8B model and the power of its
// steady blocks.
func mixed8B(dir string) (*energy.Meter, map[kindOfPhase]steady, error) {
	m := energy.New(nil, energy.Options{})
	if err := eachRow(filepath.Join(dir, "mixed_8b_sample_buffer.csv"), func(cell func(string) string) {
		m.Add(gpu.PowerReading{TimeNS: whole(cell("t_ns")), Source: gpu.SourceBuffer, PowerW: float(cell("power_mw")) / 1e3, CounterJ: math.NaN(), Fresh: true})
	}); err != nil {
		return nil, nil, err
	}
	tokens := map[string]string{"prefill": "prompt_tokens", "decode": "generated_tokens"}
	if err := eachRow(filepath.Join(dir, "mixed_8b_phases.csv"), func(cell func(string) string) {
		p := energy.Phase{Kind: cell("phase"), Batch: int(whole(cell("batch"))), Start: whole(cell("start_ns")), End: whole(cell("end_ns"))}
		p.Tokens = int(whole(cell(tokens[p.Kind])))
		m.AddPhase(p)
	}); err != nil {
		return nil, nil, err
	}
	blocks := map[kindOfPhase]steady{}
	err := eachRow(filepath.Join(dir, "mixed_8b_blocks.csv"), func(cell func(string) string) {
		blocks[kindOfPhase{cell("phase"), int(whole(cell("batch")))}] = steady{watts: float(cell("mean_power_samples_w"))}
	})
	return m, blocks, err
}

// steady is the power of a kind of phase in a steady block.
type steady struct{ watts, errW float64 }

type kindOfPhase struct {
	kind  string
	batch int
}

// steadyBlocks finds the power of each kind in a session's steady blocks: prefills
// alone, then decodes with a prefill before each, whose share is known by then.
func (s *recorded) steadyBlocks() map[kindOfPhase]steady {
	blocks := map[string][]recordedPhase{}
	var order []string
	for _, p := range s.phases {
		if !p.block() {
			continue
		}
		id := p.batch[:strings.LastIndex(p.batch, "-")]
		if blocks[id] == nil {
			order = append(order, id)
		}
		blocks[id] = append(blocks[id], p)
	}
	out := map[kindOfPhase]steady{}
	for _, id := range order {
		phases := blocks[id]
		b := balanceOf(s.buffer, phases, 1)
		kind := kindOfPhase{"prefill", phases[0].Batch}
		joules, errJ := b.joules-gapW*b.gap, gapErrW*b.gap
		if b.seconds["decode"] > 0 {
			fill := out[kind]
			joules -= fill.watts * b.seconds["prefill"]
			errJ += fill.errW * b.seconds["prefill"]
			kind.kind = "decode"
		}
		out[kind] = steady{joules / b.seconds[kind.kind], errJ / b.seconds[kind.kind]}
	}
	return out
}

// mix judges what a meter learned of each kind of phase from unequal requests
// against steady blocks of it, which its stated half-width has to cover and which may
// be no wider than most, relative to the power. It returns how many targets were
// missed.
func mix(name string, m *energy.Meter, blocks map[kindOfPhase]steady, most float64) (missed int) {
	seen := 0
	for _, p := range m.Powers() {
		b, ok := blocks[kindOfPhase{p.Kind, p.Batch}]
		if !ok {
			continue
		}
		seen++
		missed += target(fmt.Sprintf("%s %s b%d: in a steady block %.0f ± %.0f W, inside ± at most %.0f %%", name, p.Kind, p.Batch, b.watts, b.errW, 100*most),
			fmt.Sprintf("%.0f ± %.0f W", p.PowerW, p.ErrW), math.Abs(p.PowerW-b.watts) <= p.ErrW+b.errW && p.ErrW <= most*p.PowerW)
	}
	return missed + target(name+": every kind that has a steady block is known", fmt.Sprintf("%d of %d", seen, len(blocks)), seen == len(blocks))
}
