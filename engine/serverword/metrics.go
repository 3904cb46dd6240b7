package serverword

import (
	"fmt"
	"io"
	"math"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// maxMetrics bounds a /metrics page, in bytes: vLLM's of many models takes some 200 kB.
const maxMetrics = 4 << 20

// names are what the metrics of a server are called; several add up over labels.
type names struct {
	kind                                 Kind
	prefix                               string
	running, waiting, read, made, passes string
}

var known = []names{
	{LlamaServer, "llamacpp:", "requests_processing", "requests_deferred", "prompt_tokens_total", "tokens_predicted_total", "n_decode_total"},
	{VLLM, "vllm:", "num_requests_running", "num_requests_waiting", "prompt_tokens_total", "generation_tokens_total", "iteration_tokens_total"},
	{SGLang, "sglang:", "num_running_reqs", "num_queue_reqs", "prompt_tokens_total", "generation_tokens_total", ""},
}

// ParseMetrics reads a page of metrics in Prometheus' text format. The error wraps
// ErrMalformed where it is none, or of no server that is known.
func ParseMetrics(r io.Reader) (Reading, error) {
	out := Reading{Running: math.NaN(), Waiting: math.NaN(), Read: math.NaN(), Made: math.NaN(), Passes: math.NaN()}
	limited := &io.LimitedReader{R: r, N: maxMetrics}
	p := expfmt.NewTextParser(model.LegacyValidation)
	families, err := p.TextToMetricFamilies(limited)
	switch {
	case limited.N <= 0:
		return out, fmt.Errorf("%w: metrics of more than %d bytes", ErrMalformed, maxMetrics)
	case err != nil:
		return out, fmt.Errorf("%w: metrics: %w", ErrMalformed, err)
	}
	for _, n := range known {
		for name := range families {
			if strings.HasPrefix(name, n.prefix) {
				out.Kind = n.kind
			}
		}
		if out.Kind != n.kind {
			continue
		}
		for name, to := range map[string]*float64{n.running: &out.Running, n.waiting: &out.Waiting, n.read: &out.Read, n.made: &out.Made, n.passes: &out.Passes} {
			*to = out.sum(families[n.prefix+name])
		}
		return out, nil
	}
	return out, fmt.Errorf("%w: metrics of no server that is known (llama-server, vLLM, SGLang)", ErrMalformed)
}

// sum adds up a family over its labels; NaN where it is not there, or cannot be.
func (r *Reading) sum(f *dto.MetricFamily) float64 {
	sum := math.NaN()
	for _, m := range f.GetMetric() {
		v := math.NaN()
		switch {
		case m.Counter != nil:
			v = m.Counter.GetValue()
		case m.Gauge != nil:
			v = m.Gauge.GetValue()
		case m.Untyped != nil:
			v = m.Untyped.GetValue()
		case m.Histogram != nil:
			v = float64(m.Histogram.GetSampleCount())
		}
		const most = 1 << 53
		if !(v >= 0 && v < most) {
			r.Impossible++
			return math.NaN()
		}
		if math.IsNaN(sum) {
			sum = 0
		}
		sum += v
	}
	return sum
}
