package serverword

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
)

// vllmLine is what vLLM logs of an iteration with --enable-logging-iteration-details;
// "(dummy)" at its end marks one in which nothing ran.
var vllmLine = regexp.MustCompile(`Iteration\((\d{1,18})\): (\d{1,9}) context requests, (\d{1,9}) context tokens, (\d{1,9}) generation requests, (\d{1,9}) generation tokens, iteration elapsed time: (\d{1,9}(?:\.\d{1,6})?) ms(.*)$`)

// vllmWorker names the engine that logged, where there are several (EngineCore_DP1).
var vllmWorker = regexp.MustCompile(`EngineCore(?:_DP\d{1,4})?`)

// ParseVLLM reads a line of vLLM's log; false for a line that is about something else,
// or about an iteration in which nothing ran (which has its number). The error wraps
// ErrMalformed.
func ParseVLLM(line []byte) (Pass, bool, error) {
	if !bytes.Contains(line, []byte("Iteration(")) {
		return Pass{Number: -1}, false, nil
	}
	m := vllmLine.FindSubmatch(line)
	if m == nil {
		return Pass{}, false, fmt.Errorf("%w: vLLM's log: an iteration that does not read as one", ErrMalformed)
	}
	n := func(i int) int { v, _ := strconv.Atoi(string(m[i])); return v } // digits, and few
	number, _ := strconv.ParseInt(string(m[1]), 10, 64)
	ms, _ := strconv.ParseFloat(string(m[6]), 64)
	p := Pass{Prefills: n(2), PrefillTokens: n(3), Decodes: n(4), DecodeTokens: n(5), KVTokens: -1, Queued: -1, Seconds: ms / 1e3, Number: number, Worker: string(vllmWorker.Find(line))}
	if !p.possible() {
		return Pass{}, false, fmt.Errorf("%w: vLLM's log: an iteration that cannot be: %d requests of %d prompt tokens, %d of %d generated, %g ms", ErrMalformed, p.Prefills, p.PrefillTokens, p.Decodes, p.DecodeTokens, ms)
	}
	return p, p.Prefills+p.Decodes > 0 && !bytes.Contains(m[7], []byte("dummy")), nil
}

// fpm is Dynamo's forward-pass metrics of one pass.
type fpm struct {
	Worker    *string  `json:"worker_id"`
	Rank      int64    `json:"dp_rank"`
	Number    *int64   `json:"counter_id"`
	WallTime  *float64 `json:"wall_time"` // s
	Scheduled *struct {
		Prefills      float64 `json:"num_prefill_requests"`
		PrefillTokens float64 `json:"sum_prefill_tokens"`
		Decodes       float64 `json:"num_decode_requests"`
		KVTokens      float64 `json:"sum_decode_kv_tokens"`
	} `json:"scheduled_requests"`
	Queued *struct {
		Prefills float64 `json:"num_prefill_requests"`
		Decodes  float64 `json:"num_decode_requests"`
	} `json:"queued_requests"`
}

// ParseDynamo reads a line of forward-pass metrics: the record itself, or one of a
// trace that has it under "fpm" with the time at which it was seen. It is false for a
// sign of life, in which nothing ran (which has its number). The error wraps ErrMalformed.
func ParseDynamo(line []byte) (Pass, bool, error) {
	var form struct {
		fpm
		SeenMS int64 `json:"observed_at_unix_ms"`
		FPM    *fpm  `json:"fpm"`
	}
	if err := json.Unmarshal(line, &form); err != nil {
		return Pass{}, false, fmt.Errorf("%w: forward-pass metrics: %w", ErrMalformed, err)
	}
	f := &form.fpm
	if form.FPM != nil {
		f = form.FPM
	}
	if f.Scheduled == nil || f.WallTime == nil {
		return Pass{}, false, fmt.Errorf("%w: forward-pass metrics without scheduled_requests or wall_time", ErrMalformed)
	}
	const most = 1 << 40
	whole := func(v float64) int {
		if v != math.Trunc(v) || math.Abs(v) > most {
			return -2
		}
		return int(v)
	}
	s := f.Scheduled
	p := Pass{
		Prefills: whole(s.Prefills), PrefillTokens: whole(s.PrefillTokens), Decodes: whole(s.Decodes), DecodeTokens: whole(s.Decodes),
		KVTokens: whole(s.KVTokens), Queued: -1, Seconds: *f.WallTime, Number: -1,
	}
	if f.Queued != nil {
		p.Queued = whole(f.Queued.Prefills) + whole(f.Queued.Decodes)
	}
	if f.Number != nil {
		p.Number = *f.Number
	}
	if f.Worker != nil {
		p.Worker = fmt.Sprintf("%.64s/%d", *f.Worker, f.Rank)
	}
	if ms := form.SeenMS; ms > 0 && ms < 1<<43 {
		p.WallNS = ms * 1e6
	}
	if !p.possible() || p.Number < -1 || f.Number != nil && p.Number < 0 {
		return Pass{}, false, fmt.Errorf("%w: forward-pass metrics that cannot be: %+v", ErrMalformed, *s)
	}
	return p, p.Prefills+p.Decodes > 0, nil
}
