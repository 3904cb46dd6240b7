package main

import (
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"jouletop/gpu/nvml/fakenvml"
)

// machines are the GPUs that a script's command `gpus` can make, on a stand-in for
// the driver's library.
var machines = map[string]fakenvml.Config{
	"h100": fakenvml.H100(),
	// A laptop or a GB10: no power limit, no memory of its own, no counter.
	"laptop": fakenvml.H100().With(fakenvml.Unsupported, fakenvml.NoPowerLimit|fakenvml.NoMemory|fakenvml.NoMemoryClock|
		fakenvml.NoVBIOS|fakenvml.NoCounter|fakenvml.NoBuffer|fakenvml.NoGPM|fakenvml.NoProcesses|fakenvml.NoClockList),
	"lost":      fakenvml.H100().With(fakenvml.Lost, 1),
	"forbidden": fakenvml.H100().With(fakenvml.HandleFault, fakenvml.CodeNoPermission),
	"absurd": fakenvml.H100().With(fakenvml.UnlockedMHz, 65535).With(fakenvml.PowerLimitMW, 0xffffffff).
		With(fakenvml.PowerLowMW, 0xffffffff).With(fakenvml.PowerHighMW, 0xffffffff).With(fakenvml.TempC, 0xffff).With(fakenvml.CounterOffsetMJ, 1<<62).
		With(fakenvml.MemTotalMiB, 1<<44-1).With(fakenvml.MemUsedMiB, 1<<44-1),
}

// cmdGPUs makes the script's next commands see GPUs: `gpus h100 lost`; with
// -without=FUNCTION,... the library lacks functions, with -mismatch it is not the
// driver's.
func cmdGPUs(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("gpus cannot be negated")
	}
	lib, err := fakenvml.Build()
	ts.Check(err)
	var configs []fakenvml.Config
	fault := 0
	for _, a := range args {
		without, isWithout := strings.CutPrefix(a, "-without=")
		conf, known := machines[a]
		switch {
		case isWithout:
			short := ts.MkAbs("libshort.so")
			ts.Check(fakenvml.Without(lib, short, strings.Split(without, ",")...))
			lib = short
		case a == "-mismatch":
			fault = fakenvml.CodeVersionMismatch
		case known:
			configs = append(configs, conf.With(fakenvml.Permission, fakenvml.Anybody))
		default:
			ts.Fatalf("gpus: no machine %q", a)
		}
	}
	st, err := fakenvml.Create(filepath.Join(ts.Getenv("WORK"), "gpus.state"), configs...)
	ts.Check(err)
	st.SetInitFault(fault)
	ts.Check(st.Close())
	for _, kv := range st.Env(lib) {
		name, value, _ := strings.Cut(kv, "=")
		ts.Setenv(name, value)
	}
}

// canFake tells whether there is a compiler for the stand-in, and NVML in this build.
func canFake() bool {
	_, err := fakenvml.Build()
	return err == nil && withNVML
}
