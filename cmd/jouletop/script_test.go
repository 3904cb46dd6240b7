package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"jouletop/engine/gguf"
	"jouletop/engine/llama"
	"jouletop/engine/synth"
	"jouletop/engine/synth/synthtest"
)

func TestMain(m *testing.M) {
	// A guard or a child starts its own binary again, which here is this one: it
	// must not run the tests again, and so on without end.
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") && os.Args[0] == "/proc/self/exe" {
		main()
		os.Exit(0)
	}
	testscript.Main(m, map[string]func(){"jouletop": main})
}

// TestScripts runs the command line as its user would; the scripts are the
// documentation of what it prints and how it fails.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_STATE_HOME", env.WorkDir+"/state")
			env.Setenv("XDG_RUNTIME_DIR", env.WorkDir)
			return nil
		},
		Condition: func(cond string) (bool, error) {
			return cond == "engine" && engineBuilt() || cond == "fakegpu" && canFake() || cond == "installed" && llama.Installed(), nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"header": header, "tiny": tiny, "gpus": cmdGPUs, "mkfifo": mkfifo, "sparse": sparse, "status": status,
		},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// header is the scripts' command to write a GGUF file without weights of any
// worth: header FILE KEY=TEXT... TENSOR...
func header(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: header FILE KEY=TEXT... TENSOR...")
	}
	f := &gguf.File{}
	for _, a := range args[1:] {
		if key, text, ok := strings.Cut(a, "="); ok {
			f.Meta = append(f.Meta, gguf.Pair{Key: key, Value: gguf.New(text)})
		} else {
			f.Tensors = append(f.Tensors, gguf.Tensor{Name: a, Type: gguf.F32, Shape: []uint64{8}})
		}
	}
	head := f.Encode()
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), append(head, make([]byte, f.Size-int64(len(head)))...), 0o644))
}

// tiny writes a model of few weights: tiny SHAPE QUANT FILE.
func tiny(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: tiny SHAPE QUANT FILE")
	}
	shape, err := synthtest.Tiny(args[0])
	ts.Check(err)
	q, err := synth.ParseQuant(args[1])
	ts.Check(err)
	ts.Check(synth.Write(context.Background(), shape, q, 1, ts.MkAbs(args[2]), nil))
}

// mkfifo makes FIFOs.
func mkfifo(ts *testscript.TestScript, _ bool, args []string) {
	for _, a := range args {
		ts.Check(syscall.Mkfifo(ts.MkAbs(a), 0o600))
	}
}

// sparse makes files of 900 GB that take no room.
func sparse(ts *testscript.TestScript, _ bool, args []string) {
	for _, a := range args {
		ts.Check(os.WriteFile(ts.MkAbs(a), nil, 0o600))
		ts.Check(os.Truncate(ts.MkAbs(a), 900e9))
	}
}

// status runs a command, whose exit status must be the first argument.
func status(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: status CODE COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		code = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit status %d, want %s", code, args[0])
	}
}
