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
// ends a job and not the program, or here where --in-process asks for it.
func llamaBackend(o *Config, realGPU bool, log io.Writer) (engine.Backend, error) {
	dir, err := backendDir(o, realGPU, log)
	if err != nil {
		return nil, err
	}
	if o.InProcess {
		return orNil(llama.New(llama.Options{BackendDir: dir, Log: log, NoGraphSearch: o.NoGraphSearch}))
	}
	opt := worker.Options{Args: []string{WorkerCommand, "--backend-dir", dir, fmt.Sprintf("--no-graph-search=%t", o.NoGraphSearch)}, Env: backends.Env(dir), Log: log}
	if realGPU {
		// Below the sampler and whoever sets clocks: on a GPU the CPU's part is
		// small, but it spins.
		opt.Nice = 10
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
// GPU the first found that belongs to this build. Why others do not goes to the
// log.
func backendDir(o *Config, realGPU bool, log io.Writer) (string, error) {
	if o.BackendDir != "" {
		if err := backends.Check(o.BackendDir); err != nil {
			return "", fmt.Errorf("--backend-dir: %w", err)
		}
		return o.BackendDir, nil
	}
	if !realGPU {
		return "", nil
	}
	dir, err := backends.Find()
	if err != nil {
		fmt.Fprintln(log, "GPU backends passed over:", err)
	}
	return dir, nil
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
