package fakenvml

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Environment variables; see the package comment.
const (
	EnvLibrary = "JOULETOP_NVML_LIBRARY"
	EnvState   = "JOULETOP_FAKENVML_STATE"
)

// Layout of the state file, in 64-bit words: the same as in csrc/fakenvml.c.
const (
	magic        = 0x314c4d564e54464a // "JFTNVML1"
	version      = 1
	headerWords  = 64
	deviceWords  = 256
	maxDevices   = 16
	logWords     = 8
	logEntries   = 4096
	logStart     = headerWords + maxDevices*deviceWords
	totalWords   = logStart + logEntries*logWords
	maxProcesses = 32

	headMagic, headVersion, headDevices, headInitFault, headLogNext, headStampShift, headLoaded = 0, 1, 2, 3, 4, 5, 6

	headDriver = 16  // 64 bytes
	wordName   = 0   // 96 bytes
	wordUUID   = 12  // 96 bytes
	wordVBIOS  = 24  // 64 bytes
	wordProcs  = 96  // pairs: pid<<32 | kind, MiB
	wordUse    = 192 // SM %, memory % << 8
)

// State is a mapped state file. Its methods may be called at any time from any
// process and goroutine.
type State struct {
	path  string
	bytes []byte
	words []uint64
}

// Create makes a state file at path with the given GPUs (at most 16), all
// clocks unlocked, and maps it.
func Create(path string, gpus ...Config) (*State, error) {
	if len(gpus) > maxDevices {
		return nil, fmt.Errorf("fake NVML: %d GPUs: at most %d", len(gpus), maxDevices)
	}
	// Whole at once: a process that opens it early sees all or nothing.
	tmp := path + ".new"
	if err := os.WriteFile(tmp, make([]byte, totalWords*8), 0o666); err != nil {
		return nil, err
	}
	// For tests with other users, whatever the umask.
	if err := os.Chmod(tmp, 0o666); err != nil {
		return nil, err
	}
	s, err := mapFile(tmp)
	if err != nil {
		return nil, err
	}
	s.path = path
	s.words[headMagic], s.words[headVersion] = magic, version
	s.words[headDevices] = uint64(len(gpus))
	s.putText(headDriver, 64, "580.00.fake")
	for i, g := range gpus {
		d := s.GPU(i)
		s.putText(d.base+wordName, 96, g.Name)
		uuid := g.UUID
		if uuid == "" {
			uuid = fmt.Sprintf("GPU-%08x-fa4e-0000-0000-%012x", 0xfa4e0000+i, i)
		}
		s.putText(d.base+wordUUID, 96, uuid)
		s.putText(d.base+wordVBIOS, 64, "96.00.FA.KE.00")
		for f, v := range g.Fields {
			d.Set(f, v)
		}
	}
	return s, os.Rename(tmp, path)
}

// Open maps an existing state file.
func Open(path string) (*State, error) {
	s, err := mapFile(path)
	if err != nil {
		return nil, err
	}
	if s.words[headMagic] != magic || s.words[headVersion] != version {
		_ = s.Close()
		return nil, fmt.Errorf("fake NVML: %s is not a state file", path)
	}
	return s, nil
}

func mapFile(path string) (*State, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || st.Size() < totalWords*8 {
		return nil, errors.Join(fmt.Errorf("fake NVML: %s is too short for a state file", path), err)
	}
	b, err := unix.Mmap(int(f.Fd()), 0, totalWords*8, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("fake NVML: mapping %s: %w", path, err)
	}
	return &State{path: path, bytes: b, words: unsafe.Slice((*uint64)(unsafe.Pointer(&b[0])), totalWords)}, nil
}

// Close unmaps the file, which stays.
func (s *State) Close() error { return unix.Munmap(s.bytes) }

// Path returns the state file's path.
func (s *State) Path() string { return s.path }

// Env returns the two environment settings for a child process that is to load
// the library lib (see [Build]) on this state.
func (s *State) Env(lib string) []string {
	return []string{EnvLibrary + "=" + lib, EnvState + "=" + s.path}
}

// Setenv makes the test's own process load lib on this state, for the length
// of the test. One process can load only one library, but any number of states.
func (s *State) Setenv(t testing.TB, lib string) {
	t.Setenv(EnvLibrary, lib)
	t.Setenv(EnvState, s.path)
}

// SetInitFault makes nvmlInit return this NVML code in every process from now
// on; 0 for none.
func (s *State) SetInitFault(code int) { s.put(headInitFault, uint64(code)) }

// ShiftStamps moves the clock that the sample buffer's time stamps are on
// against the wall clock.
func (s *State) ShiftStamps(d time.Duration) {
	atomic.AddUint64(&s.words[headStampShift], uint64(d))
}

// ReloadDriver makes every call fail in processes that have initialised NVML
// before, until they shut it down and initialise it again.
func (s *State) ReloadDriver() { atomic.AddUint64(&s.words[headLoaded], 1) }

func (s *State) get(word int) uint64    { return atomic.LoadUint64(&s.words[word]) }
func (s *State) put(word int, v uint64) { atomic.StoreUint64(&s.words[word], v) }

func (s *State) putText(word, room int, text string) {
	b := s.bytes[word*8 : word*8+room]
	clear(b)
	copy(b[:room-1], text)
}

// GPU returns the GPU of that index.
func (s *State) GPU(index int) GPU { return GPU{s: s, base: headerWords + index*deviceWords} }

// GPU is one simulated GPU of a State.
type GPU struct {
	s    *State
	base int
}

// Get returns a field.
func (g GPU) Get(f Field) int64 { return int64(g.s.get(g.base + int(f))) }

// Set changes a field; it takes effect in every process at once.
func (g GPU) Set(f Field, v int64) { g.s.put(g.base+int(f), uint64(v)) }

// Locked returns the range that the SM clock is locked to, in MHz, and whether
// it is locked at all.
func (g GPU) Locked() (minMHz, maxMHz int, locked bool) {
	v := g.s.get(g.base + int(lockField))
	return int(v >> 32), int(uint32(v)), v != 0
}

// MemLocked is Locked for the memory clock.
func (g GPU) MemLocked() (mhz int, locked bool) {
	v := g.s.get(g.base + int(memLockField))
	return int(uint32(v)), v != 0
}

// TrueEnergyJ returns the energy used from CLOCK_MONOTONIC time from to to (ns), as
// the power fields are now.
func (g GPU) TrueEnergyJ(from, to int64) float64 {
	lo, hi := float64(g.Get(PowerLowMW))/1e3, float64(g.Get(PowerHighMW))/1e3
	upTo := func(t int64) float64 {
		high, period := t, g.Get(PowerPeriodNS)
		if period > 0 {
			high = t/period*(period/2) + min(t%period, period/2)
		}
		return (lo*float64(t-high) + hi*float64(high)) / 1e9
	}
	return upTo(to) - upTo(from)
}

// Unlock gives the clocks back as a driver reload or a reboot would.
func (g GPU) Unlock() {
	g.s.put(g.base+int(lockField), 0)
	g.s.put(g.base+int(memLockField), 0)
}

// Kind of context that a process holds.
type Kind int

// The kinds.
const (
	Compute Kind = iota
	Graphics
	MPS
)

// Process is a process that the GPU says it runs.
type Process struct {
	PID       int
	Kind      Kind
	MemoryMiB int
	SMPct     int // how busy it keeps the SMs, %
	MemPct    int
}

// SetProcesses replaces the processes on the GPU (at most 32).
func (g GPU) SetProcesses(list ...Process) {
	if len(list) > maxProcesses {
		panic(fmt.Sprintf("fake NVML: %d processes: at most %d", len(list), maxProcesses))
	}
	g.Set(processesField, 0)
	for i, p := range list {
		g.s.put(g.base+wordProcs+2*i, uint64(p.PID)<<32|uint64(p.Kind))
		g.s.put(g.base+wordProcs+2*i+1, uint64(p.MemoryMiB))
		g.s.put(g.base+wordUse+i, uint64(p.SMPct)|uint64(p.MemPct)<<8)
	}
	g.Set(processesField, int64(len(list)))
}

// Call is one call to set or reset a knob. Value is what the knob was set to, or left
// at: of a clock also in MinMHz and MaxMHz.
type Call struct {
	Knob    int // 0 SM clock, 1 memory clock, 2 power limit (mW), 3 profiles (a set)
	Value   int64
	Seq     uint64 // from 1, over all processes
	PID     int
	EUID    int
	GPU     int
	Reset   bool
	MinMHz  int
	MaxMHz  int
	StartNS int64 // CLOCK_MONOTONIC
	EndNS   int64 // 0: not returned (yet, or its process was killed)
	Return  int   // NVML's code; 0 is success
}

// Log returns the calls made so far, oldest first; only the last 4096 are kept.
func (s *State) Log() []Call {
	next := s.get(headLogNext)
	first := uint64(0)
	if next > logEntries {
		first = next - logEntries
	}
	var calls []Call
	for seq := first; seq < next; seq++ {
		e := logStart + int(seq%logEntries)*logWords
		if s.get(e) != seq+1 { // being written
			continue
		}
		who, op, clocks := s.get(e+3), s.get(e+4), s.get(e+5)
		calls = append(calls, Call{
			Seq: seq + 1, StartNS: int64(s.get(e + 1)), EndNS: int64(s.get(e + 2)),
			PID: int(who >> 32), EUID: int(uint32(who)),
			Reset: op>>32&0xffff == 2, GPU: int(uint32(op)), Knob: int(op >> 48), Value: int64(clocks),
			MinMHz: int(clocks >> 32), MaxMHz: int(uint32(clocks)), Return: int(s.get(e + 6)),
		})
	}
	return calls
}
