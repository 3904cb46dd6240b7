package session

import (
	"fmt"
	"strings"

	"jouletop/engine/event"
)

// ReadmeFile says what is in the folder, for whoever opens it without jouletop.
const ReadmeFile = "README.txt"

// fileMeanings say what each file holds.
var fileMeanings = map[string]string{
	ManifestFile:   "what ran, on what, how, when and by which program; what the flags mean",
	SamplesFile:    "clocks, temperature and load of each GPU, a row a poll",
	PowerFile:      "every reading of every power source, at the reading's own time",
	HostFile:       "every reading of what the machine around the GPUs draws; none of it is in any energy_j",
	PhasesFile:     "every phase of every batch (prefill, decode, draft and verify, score, mixed, idle), with its energy",
	IterationsFile: "every pass of a model that served requests as they came",
	RequestsFile:   "every request: times, tokens, energy, quality, flags",
	ClocksFile:     "every change of the SM clock: asked for, given back, lost, refused",
	PointsFile:     "every point: one combination of model, dataset, batch size, clock and repeat; times and energies are means per query",
	OutputsFile:    "what the models answered, a line of JSON a request",
	EventsFile:     "all that happened but telemetry, a line of JSON an event, in order",
}

// columnMeanings say what columns hold. A column that means something else in one file
// stands there as "file:column".
var columnMeanings = map[string]string{
	"t_ns": "time, ns of the clock that the manifest's time_base names", "start_ns": "beginning, ns of the same clock", "end_ns": "end, ns of the same clock",
	"gpu": "index and head of the UUID; sim:… is a simulated GPU", "sm_mhz": "SM clock as read, MHz", "mem_mhz": "memory clock as read, MHz",
	"requested_sm_mhz": "SM clock asked for, MHz; empty: the driver's, or by phase", "achieved_sm_mhz": "mean SM clock, MHz",
	"requested_mem_mhz": "memory clock asked for, MHz; empty: the driver's", "achieved_mem_mhz": "mean memory clock, MHz",
	"requested_power_limit_w": "power limit asked for, W; empty: left as it was", "achieved_power_limit_w": "power limit in force, W, where one was asked for",
	"prefill_held_by": "what held the SM clock in prefill: power or heat (a limit), sm-lock (the clock asked for), nothing; empty: not known", "prefill_held_pct": "for how much of the prefills' time a limit held it below the clock asked for, %",
	"decode_held_by": "the same of decode", "decode_held_pct": "the same of decode, %", "score_held_by": "the same of scoring", "score_held_pct": "the same of scoring, %",
	"mixed_held_by": "the same of serving", "mixed_held_pct": "the same of serving, %",
	"limits_counted_s":  "how long the driver's own counters of limits were read, s; empty: it has none, or the point was too short",
	"power_counted_pct": "for how much of that a power limit held the clocks by the driver's counters, whatever ran, %",
	"heat_counted_pct":  "the same of limits that are none of power, %", "limits_counted_doubt": "what speaks against the driver's counters: the reasons that it named meanwhile, or that they went back or ran ahead; empty: nothing",
	"requested_profiles":            "workload power profiles asked for, a sum of 2^number; empty: none",
	ClocksFile + ":achieved_sm_mhz": "SM clock once it had settled, MHz", "sm_mhz_mean": "mean SM clock of the time, MHz",
	"temp_c": "temperature, °C", "gpu_util_pct": "time with a kernel running, %", "dram_util_pct": "share of the memory's bandwidth, %",
	"tensor_util_pct": "time in which tensor cores worked, %", "mem_used_mib": "memory in use, MiB", "throttle": "what held the clock down, joined by +",
	"source": "power source: buffer, counter, instant, average", "host_source": "where it was read: a processor's or memory's counter (rapl:…), a power meter (hwmon:…), the whole server (dcmi); the manifest describes each", "power_w": "power, W", "energy_counter_j": "energy counter, J",
	"fresh": "1: the source had renewed its value since the reading before",
	"phase": "prefill, decode, draft and verify (which take turns where tokens are drafted), score, mixed (several at once), or idle", "batch_id": "batch", "point_id": "point", "request_id": "request", "iteration_id": "pass",
	"repeat": "which repeat of the same work, from 1", "model": "model; in phases.csv with what else of it changes its power", "dataset": "dataset", "query_id": "query within the dataset",
	"class": "easy or hard by the study's rule", "batch_size": "requests in the batch", PointsFile + ":batch_size": "requests in a full batch",
	"point_batch_size": "requests in the point's full batches; the last may be smaller", "policy": "what chose the clock", "queries": "queries that ran",
	"tokens": "tokens read or generated, over the batch", "input_tokens": "tokens of the prompt", "output_tokens": "tokens generated; 0 where options were scored",
	PointsFile + ":input_tokens": "tokens of the prompt, mean per query", PointsFile + ":output_tokens": "tokens generated, mean per query",
	"cached_tokens": "prompt tokens that a server had in its cache and did not compute",
	"prefill_s":     "time to read the prompt, s", "decode_s": "time after it, s: generating, or scoring", "latency_s": "end to end, s, from the arrival where there is one",
	PointsFile + ":prefill_s": "time to read the prompt, mean per query, s", PointsFile + ":decode_s": "time after it, mean per query, s: generating, or scoring", PointsFile + ":latency_s": "end to end, mean per query, s",
	"ttft_s": "time to the first token as its reader saw it, s", "tpot_s": "time per output token after the first, s", "tokens_per_s": "tokens generated (or scored) a second, over the point",
	"server_prefill_s": "the server's own word for its prefill, s", "server_decode_s": "and for what came after, s",
	"arrival_ns": "when the request was meant to come, ns", "queue_s": "from its arrival to its start, s", "gap_max_s": "longest time between two of its tokens, s",
	"energy_j": "energy, J; empty: not known well enough to state", "energy_err_j": "half of its 95 % interval, J; where energy_j is empty a bound",
	PointsFile + ":energy_j": "energy, mean per query, J", PointsFile + ":energy_err_j": "half of its 95 % interval, J",
	"energy_method": "how it was obtained: buffer, counter, instant (sources integrated), regression (power of the kind of phase), block, requests, unresolved",
	"net_energy_j":  "energy less idle power times the time, J", PointsFile + ":net_energy_j": "energy less idle power times the time, mean per query, J",
	"prefill_energy_j": "of the prefills, mean per query, J", "decode_energy_j": "of what came after, mean per query, J",
	"joules_per_token": "energy over generated tokens, or over those read where none were generated, J", "joules_per_total_token": "energy over all tokens, read and generated, J", "edp_js": "energy times latency, J·s", "mean_power_w": "mean power while busy, W",
	"energy_split": "by which rule energies of passes were divided among requests", "marginal_energy_j": "what the run drew more for this request, J: the total with it less the total without it", "marginal_energy_err_j": "half of its 95 % interval, J",
	"idle_energy_j": "what the pause before its arrival drew, J; in no energy_j", "token_share_j": "its share by tokens, J", "capped_token_share_j": "its share by tokens, capped in each pass, J",
	"quality": "0 to 1", "quality_metric": "by which measure", PointsFile + ":quality": "mean, 0 to 1",
	"mixed_clock": "1: the clock asked for changed within", "throttled_pct": "time in which a limit held the clock down, %",
	"temp_start_c": "temperature at the beginning, °C", "temp_end_c": "and at the end, °C", "routed": "1: the query went to the model that its class asks for",
	"flags": "reasons to look twice, joined by +; the manifest says what they mean", "error": "why it failed",
	"call_ms": "what the driver's call took, ms", "settle_ms": "until the clock had settled, ms", "cause": "who or what changed it",
	"prefill_tokens": "prompt tokens read in the pass", "prefill_requests": "of how many requests", "decode_requests": "requests that went on by a token",
	"kv_tokens": "tokens read from the KV cache", "queued": "requests that had no slot meanwhile", "evaluations": "evaluations of the model that the row stands for",
	"draft": "what drafted tokens: a model, self (the model itself) or ngram (what followed the last tokens before); empty: nothing", "draft_depth": "most tokens drafted at a time; 0: decoded plainly",
	"draft_tokens": "tokens that were proposed", "accepted_tokens": "of these, those that the model kept: they are among the output tokens", "acceptance": "accepted of drafted tokens, 0 to 1",
	PointsFile + ":draft_tokens": "tokens that were proposed, mean per query", PointsFile + ":accepted_tokens": "of these, those that the model kept, mean per query",
	"draft_energy_j": "what drafting took of energy_j, J (a draft model's reading of the prompt is prefill's); empty: not known well enough to state", "draft_energy_err_j": "half of its 95 % interval, J; where it is empty a bound",
	"verify_energy_j": "what the model's passes over drafted tokens took of energy_j, J", "verify_energy_err_j": "half of its 95 % interval, J; where it is empty a bound",
	PointsFile + ":draft_energy_j": "what drafting took of energy_j, mean per query, J", PointsFile + ":verify_energy_j": "what the model's passes over drafted tokens took of it, mean per query, J",
	"joules_per_accepted_token": "energy of drafting and verifying over the accepted tokens, J",
	"origin":                    "how the pass is known: empty, run by this program; stream, put together from when a server's tokens came; server, the same and told by the server",
}

// meaning is what a column of a file holds; "" where nobody wrote it down.
func meaning(file, column string) string {
	if m, ok := columnMeanings[file+":"+column]; ok {
		return m
	}
	return columnMeanings[column]
}

// readme says in words what the folder's files and columns are.
func readme(m *Manifest) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "A session recorded by %s.\n", m.Program)
	if m.Simulated {
		b.WriteString("SIMULATED: computed, not measured.\n")
	}
	b.WriteString("\nPlain CSV: UTF-8, a header line, a decimal point. Empty means unknown, never 0.\nUnits stand in the columns' names. …_err_… is half of a 95 % interval.\nText that a spreadsheet would take for a formula has a ' in front.\n")
	for _, name := range Files() {
		fmt.Fprintf(&b, "\n%s: %s\n", name, fileMeanings[name])
		for _, c := range Columns(name) {
			fmt.Fprintf(&b, "  %-22s %s\n", c.Name, c.Meaning)
		}
	}
	b.WriteString("\nFlags:\n")
	for _, f := range event.AllFlags() {
		fmt.Fprintf(&b, "  %-22s %s\n", f, event.FlagMeanings[f])
	}
	return []byte(b.String())
}
