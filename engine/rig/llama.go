package rig

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"jouletop/engine"
	"jouletop/engine/backends"
	"jouletop/engine/llama"
	"jouletop/engine/session"
	"jouletop/engine/worker"
)

// WorkerCommand is the hidden subcommand of the child that runs llama.cpp.
const WorkerCommand = "llama-worker"

// llamaBackend opens llama.cpp: in a child process, so that a crash in native code
// ends a job and not the program, or here where --in-process asks for it. passedOver says
// why GPU backends that lie here are not used; it goes to the log too.
func llamaBackend(o *Config, realGPU bool, log io.Writer) (b engine.Backend, passedOver, err error) {
	dir, passedOver, err := backendDir(o, realGPU)
	if err != nil {
		return nil, nil, err
	}
	if passedOver != nil {
		fmt.Fprintln(log, "GPU backends passed over:", passedOver)
	}
	b, err = openLlama(o, realGPU, dir, log)
	return b, passedOver, err
}

func openLlama(o *Config, realGPU bool, dir string, log io.Writer) (engine.Backend, error) {
	if o.InProcess {
		return orNil(llama.New(llama.Options{BackendDir: dir, Log: log, NoGraphSearch: o.NoGraphSearch}))
	}
	opt := worker.Options{Args: []string{WorkerCommand, "--backend-dir", dir, fmt.Sprintf("--no-graph-search=%t", o.NoGraphSearch)}, Env: backends.Env(dir), Log: log}
	if realGPU {
		// Below the sampler and whoever sets clocks: on a GPU the CPU's part is
		// small, but it spins.
		opt.Nice = 10
		opt.EnvOf = llama.NewGPUEnvironment
	}
	return orNil(worker.New(opt))
}

// orNil keeps a nil pointer from becoming an interface that is not nil.
func orNil[B engine.Backend](b B, err error) (engine.Backend, error) {
	if err != nil {
		return nil, err
	}
	return b, nil
}

// backendDir is the folder of GPU backends to load: the one named, or for a real
// GPU the first found that belongs to this build; passedOver says why others do not.
func backendDir(o *Config, realGPU bool) (dir string, passedOver, err error) {
	if o.BackendDir != "" {
		if err := backends.Check(o.BackendDir); err != nil {
			return "", nil, fmt.Errorf("--backend-dir: %w", err)
		}
		return o.BackendDir, nil, nil
	}
	if !realGPU {
		return "", nil, nil
	}
	dir, passedOver = backends.Find()
	return dir, passedOver, nil
}

// nativeLog opens the program's log file for what native code has to say.
func nativeLog() (*os.File, error) {
	path := filepath.Join(session.StateDir(), "jouletop.log")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	const limit = 4 << 20
	if st, err := os.Stat(path); err == nil && st.Size() > limit {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
}
