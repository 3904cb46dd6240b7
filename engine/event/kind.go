package event

// Kind returns "sample".
func (Sample) Kind() string { return "sample" }

// Kind returns "power".
func (Power) Kind() string { return "power" }

// Kind returns "host_power".
func (HostPower) Kind() string { return "host_power" }

// Kind returns "run_start".
func (RunStart) Kind() string { return "run_start" }

// Kind returns "run_more".
func (RunMore) Kind() string { return "run_more" }

// Kind returns "run_end".
func (RunEnd) Kind() string { return "run_end" }

// Kind returns "model_loading".
func (ModelLoading) Kind() string { return "model_loading" }

// Kind returns "point_start".
func (PointStart) Kind() string { return "point_start" }

// Kind returns "point_done".
func (PointDone) Kind() string { return "point_done" }

// Kind returns "batch_start".
func (BatchStart) Kind() string { return "batch_start" }

// Kind returns "command_done".
func (CommandDone) Kind() string { return "command_done" }

// Kind returns "batch_end".
func (BatchEnd) Kind() string { return "batch_end" }

// Kind returns "iteration".
func (Iteration) Kind() string { return "iteration" }

// Kind returns "iteration_energy".
func (IterationEnergy) Kind() string { return "iteration_energy" }

// Kind returns "phase_start".
func (PhaseStart) Kind() string { return "phase_start" }

// Kind returns "phase_end".
func (PhaseEnd) Kind() string { return "phase_end" }

// Kind returns "token".
func (Token) Kind() string { return "token" }

// Kind returns "request_done".
func (RequestDone) Kind() string { return "request_done" }

// Kind returns "phase_energy".
func (PhaseEnergy) Kind() string { return "phase_energy" }

// Kind returns "request_energy".
func (RequestEnergy) Kind() string { return "request_energy" }

// Kind returns "clock_change".
func (ClockChange) Kind() string { return "clock_change" }

// Kind returns "knob_change".
func (KnobChange) Kind() string { return "knob_change" }

// Kind returns "limit_times".
func (LimitTimes) Kind() string { return "limit_times" }

// Kind returns "bound".
func (Bound) Kind() string { return "bound" }

// Kind returns "policy_note".
func (PolicyNote) Kind() string { return "policy_note" }

// Kind returns "server_word".
func (ServerWord) Kind() string { return "server_word" }

// Kind returns "sleep".
func (Sleep) Kind() string { return "sleep" }

// Kind returns "processes".
func (Processes) Kind() string { return "processes" }

// Kind returns "mark".
func (Mark) Kind() string { return "mark" }

// Kind returns "warning".
func (Warning) Kind() string { return "warning" }

// Kind returns "error".
func (Error) Kind() string { return "error" }

// Kind returns "state".
func (State) Kind() string { return "state" }

// Telemetry tells whether e is a Sample or a Power reading: plentiful, kept in
// CSV files of their own, and coalesced where a reader is slow.
func Telemetry(e Event) bool {
	switch e.(type) {
	case Sample, Power, HostPower:
		return true
	}
	return false
}
