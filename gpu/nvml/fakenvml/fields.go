package fakenvml

// Field is one number of a GPU's state.
type Field int

// The fields, in the order of the state file.
const (
	MinMHz       Field = iota + 32 // lowest supported SM clock
	MaxMHz                         // highest supported SM clock
	StepMHz                        // distance between supported SM clocks
	MemMHz                         // the memory clock
	UnlockedMHz                    // SM clock while nothing is locked
	lockField                      // min<<32 | max, 0 unlocked; see GPU.Locked
	prevField                      // clock before the last change
	changedField                   // when it changed, ns
	SettleNS                       // from a call's return until the clock follows
	CapMHz                         // clock that a power limit allows (throttle bit set below it); 0 none
	Stuck                          // 1: set calls succeed, but the clock does not follow

	Lost           // 1: every call on the device says that the GPU is lost
	Permission     // who may set and reset: RootOnly, Nobody, Anybody
	Unsupported    // set of No… bits: what says "not supported"
	SetLatencyUS   // how long a set or reset call takes
	HangMS         // extra time of a hanging set or reset call, after which it takes effect
	HangLeft       // how many calls hang: counts down, -1 all
	SetFault       // NVML code that set calls return
	SetFaultLeft   // how many do: counts down, -1 all
	ResetFault     // NVML code that reset calls return
	ResetFaultLeft // how many do: counts down, -1 all
	ReadFaultEvery // every Nth reading fails; 0 none
	ReadFault      // the NVML code it fails with
	Reads          // readings made so far
	CallUS         // processor time of a cheap reading
	BufferCallUS   // of reading the sample buffer
	CounterCallUS  // of reading the energy counter

	PowerLowMW      // power in the second half of each period
	PowerHighMW     // power in the first half; all the time when PowerPeriodNS is 0
	PowerPeriodNS   // period of the square wave; it starts at CLOCK_MONOTONIC 0
	AveragePeriodNS // how often the average is renewed, and so on
	AverageWindowNS
	InstantPeriodNS
	InstantWindowNS
	BufferPeriodNS
	BufferLen // samples kept
	CounterPeriodNS
	CounterOffsetMJ // added to the counter; lower it for a reset
	PowerLimitMW

	TempC
	GPUUtil
	MemUtil
	MemTotalMiB
	MemUsedMiB
	ThrottleBits   // besides the clock-setting and power-cap bits
	TensorMilliPct // GPM: tensor utilisation, 1/1000 %
	DRAMMilliPct   // GPM: memory bandwidth utilisation, 1/1000 %
	MIG            // 1: MIG mode is on
	processesField // number of processes; see GPU.SetProcesses
	HandleFault    // NVML code that asking for the GPU by its index returns; 0 none
)

// How a GPU's sensors are wrong. Sources are named by their No… bits.
const (
	// Values of the WrongSources (of power) are WrongMW: all of them, or every
	// WrongEvery-th, those of times (CLOCK_MONOTONIC ns) from WrongFromNS to
	// WrongToNS, 0 for no end.
	WrongSources Field = iota + 160
	WrongMW
	WrongEvery
	WrongFromNS
	WrongToNS
	ScaledSources    // read ScaledPercent of the truth
	ScaledPercent    //
	ReadsHangUntilNS // every reading returns only then, CLOCK_MONOTONIC
	StampShiftNS     // of the sample buffer's time stamps, besides State.ShiftStamps
	BufferLagNS      // by which the sample buffer's values come late: 10 ms on an H100
)

// The knobs beside the SM clock. What is said of set and reset calls (their latency,
// hanging and faults) is of all knobs, or of those in FaultKnobs.
const (
	MemLowMHz      Field = iota + 170 // another memory clock that is supported; 0 none
	memLockField                      // min<<32 | max, 0 unlocked; see GPU.MemLocked
	PowerMinMW                        // range of the power limit
	PowerMaxMW                        //
	PowerDefaultMW                    //
	PowerFloorMW                      // a lower limit is taken for this one, and the call succeeds
	Profiles                          // workload power profiles that there are, a set of bits; 0 none
	Requested                         // those requested
	ListHangMS                        // how long asking for the supported clocks takes
	FaultKnobs                        // a set of 1 << knob; 0 all
)

// For how long limits held the clocks (nvmlDeviceGetViolationStatus): a share of all time
// since CLOCK_MONOTONIC 0, and what is added to it.
const (
	LimitsCounted  Field = iota + 180 // which there are: 1 power, 2 heat, 8 board, 32 reliability
	PowerHeldMilli                    // 1/1000 of the time
	PowerHeldNS
	HeatHeldMilli
	HeatHeldNS
)

// What is in force of the knobs.
const (
	LimiterMW   Field = iota + 185 // another limiter's power limit; 0 none
	ProfilesOut                    // of the profiles requested, those that are not enforced
)

// Values of the field Permission.
const (
	RootOnly = 0 // as the real driver
	Nobody   = 1
	Anybody  = 2
)

// Bits of the field Unsupported.
const (
	NoLock = 1 << iota
	NoAverage
	NoInstant
	NoBuffer
	NoCounter
	NoGPM
	NoClockList
	NoThrottle
	NoProcesses
	NoClock // of the SM
	NoPowerLimit
	NoMemory
	NoMemoryClock
	NoTemperature
	NoVBIOS
	NoPCI
	NoMemLock
	NoPowerSet     // of the power limit, which can be read
	NoPowerDefault // the default limit cannot be read
	NoProcessUse
)

// Some of NVML's return codes, for the fault fields.
const (
	CodeNotSupported    = 3
	CodeNoPermission    = 4
	CodeDriverNotLoaded = 9
	CodeVersionMismatch = 18 // of library and driver
	CodeGPULost         = 15
	CodeResetRequired   = 16
	CodeUnknown         = 999
)

// Config is a GPU to create.
type Config struct {
	Name   string
	UUID   string // "" for one made from the index
	Fields map[Field]int64
}

// With returns the config with one field changed.
func (c Config) With(f Field, v int64) Config {
	fields := make(map[Field]int64, len(c.Fields)+1)
	for k, old := range c.Fields {
		fields[k] = old
	}
	fields[f] = v
	c.Fields = fields
	return c
}

// H100 is a GPU with the clocks, sensors and call times of an H100, idle at 78
// W, whose set calls take 3 ms and whose clock settles 20 ms later. Readings
// cost nothing; see CallUS.
func H100() Config {
	return Config{Name: "NVIDIA H100 80GB HBM3 (fake)", Fields: map[Field]int64{
		MinMHz: 345, MaxMHz: 1980, StepMHz: 15, MemMHz: 2619, UnlockedMHz: 1980, SettleNS: 20e6,
		SetLatencyUS: 3000, ReadFault: CodeUnknown,
		PowerLowMW: 78000, PowerHighMW: 78000,
		AveragePeriodNS: 100e6, AverageWindowNS: 1e9, InstantPeriodNS: 100e6, InstantWindowNS: 25e6,
		BufferPeriodNS: 20e6, BufferLen: 120, CounterPeriodNS: 100e6, PowerLimitMW: 700000,
		MemLowMHz: 1593, PowerMinMW: 200000, PowerMaxMW: 700000, PowerDefaultMW: 700000,
		TempC: 34, MemTotalMiB: 81559, MemUsedMiB: 512, TensorMilliPct: 0, DRAMMilliPct: 0,
		LimitsCounted: 1 | 2 | 8 | 32,
	}}
}
