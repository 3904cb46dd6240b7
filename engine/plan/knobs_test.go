package plan

import (
	"fmt"
	"strings"
	"testing"

	"jouletop/gpu"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/timebase"
)

func TestAxes(t *testing.T) {
	g, err := simgpu.New("h100", timebase.NewSim(0), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		clocks string
		sweeps []string
		want   string // or what is wrong
	}{
		{"345,1980", nil, "sm=345,1980"},
		{"", []string{"power=200:700:6"}, "power=200,300,400,500,600,700"},
		{"345:1980:2", []string{"mem=all"}, "sm=345,1980 mem=1593,2619"},
		{"", []string{"power=412,300", "sm=all"}, "sm=" + strings.Trim(strings.ReplaceAll(fmt.Sprint(g.Info().SMClocks), " ", ","), "[]") + " power=300,412"},
		{"", []string{"mem=1000:3000:3"}, "mem=1593,2619"},
		{"345", []string{"sm=1980"}, "give one"},
		{"", []string{"power=100"}, "200 W to"},
		{"", []string{"power=100:700:3"}, "200 W to 700 W"},
		{"", []string{"power=all"}, "every value"},
		{"", []string{"power=700:200:3"}, "700 is above 200"},
		{"", []string{"power=300", "power=400"}, "given twice"},
		{"", []string{"mem=2000"}, "memory clock 2000 MHz: the nearest are 1593 and 2619"},
		{"", []string{"profile=1"}, "not simulated"},
		{"", []string{"volume=11"}, "KNOB=VALUES"},
		{"", []string{"power"}, "KNOB=VALUES"},
		{"", []string{"power=lots"}, "whole W"},
		{"", []string{"sm=7"}, "--sweep sm=7: unsupported SM clock"},
		{"", []string{"sm="}, "--sweep sm=: no clock"},
		{"", []string{"power="}, "whole W"},
		{"", []string{"power=200:2305843009213694352:2"}, "no value of anything"}, // in mW it wraps around to 400 W
		{"", []string{"mem=3000:5000:2"}, "this GPU has 1593 to 2619 MHz"},
		{"", []string{"power=300,300,412"}, "power=300,412"},
		{"", []string{"sm=1:2"}, "--sweep sm=1:2: want MIN:MAX:COUNT"},
	} {
		axes, err := ParseAxes(c.clocks, c.sweeps, g.Info(), g.Knobs)
		if err != nil {
			if !strings.Contains(err.Error(), c.want) || !isUsage(err) {
				t.Errorf("%q %q: %v, want %q", c.clocks, c.sweeps, err, c.want)
			}
			continue
		}
		var got []string
		for _, a := range axes {
			got = append(got, a.String())
			again, err := ParseAxes("", []string{a.String()}, g.Info(), g.Knobs)
			if err != nil || again[0].String() != a.String() {
				t.Errorf("%s is read as %v, %v", a, again, err)
			}
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%q %q: %s, want %s", c.clocks, c.sweeps, text, c.want)
		}
	}
	if axes, err := ParseAxes("", nil, g.Info(), nil); err != nil || len(axes) != 1 || len(SMClocks(axes)) != 7 {
		t.Errorf("by default %v, %v", axes, err)
	}
	if axes, err := ParseAxes("", []string{"power=300"}, gpu.UnknownInfo(0), g.Knobs); err != nil || SMClocks(axes) != nil {
		t.Errorf("without a list of clocks %v, %v", axes, err)
	}
}

func TestSettings(t *testing.T) {
	var got []string
	for _, s := range Settings([]Axis{{gpu.KnobSM, []int{345, 1980}}, {gpu.KnobPower, []int{300, 400}}}) {
		got = append(got, s.Spec)
	}
	if text := strings.Join(got, " "); text != "fixed:sm=345,power=300 fixed:sm=345,power=400 fixed:sm=1980,power=300 fixed:sm=1980,power=400" {
		t.Error(text)
	}
	if s := Settings([]Axis{{gpu.KnobSM, []int{345}}}); s[0] != Fixed(345) {
		t.Errorf("one knob is %+v", s[0])
	}
	if s := Settings([]Axis{{gpu.KnobMem, []int{1593}}}); s[0].Spec != "fixed:mem=1593" {
		t.Errorf("another knob alone is %+v", s[0])
	}
}
