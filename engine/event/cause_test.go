package event

import "testing"

func TestCauseIsItsText(t *testing.T) {
	for text, want := range map[string]Cause{
		"":                       {},
		"operator":               {By: ByOperator},
		"operator:decode":        {By: ByOperator, Phase: Decode},
		"policy":                 {By: ByPolicy},
		"policy:score":           {By: ByPolicy, Phase: Score},
		"phase:1980/1005:decode": {By: ByPolicy, Policy: "phase:1980/1005", Phase: Decode},
		"phase:min-edp:mixed":    {By: ByPolicy, Policy: "phase:min-edp", Phase: Mixed},
		"min-energy:prefill":     {By: ByPolicy, Policy: "min-energy", Phase: Prefill},
		"fixed:1005":             {By: ByPolicy, Policy: "fixed:1005"},
		"sweep end":              {By: BySweepEnd},
		"exit":                   {By: ByExit},
		"guard lost":             {By: ByLoss},
	} {
		var got Cause
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q reads as %+v, %v; want %+v", text, got, err, want)
		}
		if got.String() != text {
			t.Errorf("%+v is %q, want %q", got, got, text)
		}
	}
	for by := range bys {
		if c := (Cause{By: bys[by]}); c.Unasked() != (c.By == ByLoss || c.By == ByOthers) {
			t.Errorf("%s: unasked %v", c, c.Unasked())
		}
	}
}
