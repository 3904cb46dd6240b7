// Package fakenvml builds and drives a stand-in for NVIDIA's libnvidia-ml.so.1
// for tests: a shared library in C (csrc) that go-nvml loads exactly
// as the real one, on simulated GPUs whose state lies in a file. It has no
// effect on, and needs no, real GPU.
//
// A test makes a state file, points two environment variables at the library
// and the state, and starts (or is) a process that uses gpu/nvml:
//
//	lib, err := fakenvml.Build()
//	st, err := fakenvml.Create(filepath.Join(t.TempDir(), "gpu"), fakenvml.H100())
//	cmd.Env = append(os.Environ(), st.Env(lib)...)   // a child process
//	st.Setenv(t, lib)                                // or this one
//	st.GPU(0).Set(fakenvml.HangMS, 5000)             // a fault
//	lo, hi, locked := st.GPU(0).Locked()             // what a killed process left
//	for _, call := range st.Log() { … }              // every set and reset
//
// # Environment
//
//   - JOULETOP_NVML_LIBRARY (read by gpu/nvml): path of the library to load in
//     place of libnvidia-ml.so.1.
//   - JOULETOP_FAKENVML_STATE (read by the fake library at nvmlInit): path of
//     the state file. Without it nvmlInit says that no driver is loaded.
//
// # State
//
// The file is an array of 64-bit words in native byte order, mapped by every
// process and changed by atomic loads and stores, without a lock: a process
// killed or stopped inside a call blocks no other, and what it had set stays
// set. It holds a header, 16 GPUs and a ring of the last 4096 set and reset
// calls. Every call to set or reset a knob is logged when it starts and
// again when it returns, with pid, effective user, time, clocks and result.
// The words of a GPU are the [Field]s below.
//
// # What it does like the real library
//
//   - The clock lock is the device's, not the process's: it outlives everyone
//     and is undone only by a reset call.
//   - Setting and resetting need root (effective user 0), else NO_PERMISSION;
//     [Permission] changes that.
//   - A locked clock is rounded to the supported steps, takes effect when the
//     call returns ([SetLatencyUS] later) and is reached [SettleNS] after that.
//   - Power is a square wave between [PowerLowMW] and [PowerHighMW] (its first
//     half high), and each sensor shows it as the real ones do: a 1 s average
//     renewed every 100 ms, an instant value over 25 ms renewed every 100 ms, a
//     buffer of 20 ms samples with wall-clock time stamps, and an energy counter
//     in 100 ms ticks.
//   - Sensors fail in the ways that people report: see [WrongSources] and the
//     fields after it, [Lost], [CounterOffsetMJ], [State.ReloadDriver].
//   - Two-step calls (lists, processes, samples) keep NVML's size protocol.
package fakenvml
