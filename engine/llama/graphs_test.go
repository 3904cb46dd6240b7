package llama

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"jouletop/engine"
	"jouletop/engine/gguf"
	"jouletop/engine/synth"
)

func TestMultipliesPlain(t *testing.T) {
	tensor := func(name string, typ gguf.TensorType, shape ...uint64) gguf.Tensor {
		return gguf.Tensor{Name: name, Type: typ, Shape: shape}
	}
	norm, embedding := tensor("blk.0.attn_norm.weight", gguf.F32, 64), tensor("token_embd.weight", gguf.F16, 64, 1000)
	up, output := tensor("blk.0.ffn_up.weight", gguf.Q8_0, 64, 256), tensor("output.weight", gguf.Q8_0, 64, 1000)
	for name, c := range map[string]struct {
		files [][]gguf.Tensor
		want  bool
	}{
		"quantised":                    {[][]gguf.Tensor{{norm, embedding, up, output}}, false},
		"its embedding is the output":  {[][]gguf.Tensor{{norm, embedding, up}}, true},
		"output in another part":       {[][]gguf.Tensor{{norm, embedding}, {up, output}}, false},
		"one matrix is not":            {[][]gguf.Tensor{{norm, embedding, up, output, tensor("blk.0.ffn_gate_inp.weight", gguf.F32, 64, 8)}}, true},
		"half precision":               {[][]gguf.Tensor{{norm, embedding, output, tensor("blk.0.ffn_up.weight", gguf.BF16, 64, 256)}}, true},
		"a vector with two dimensions": {[][]gguf.Tensor{{embedding, up, output, tensor("blk.0.scale", gguf.F32, 64, 1)}}, false},
	} {
		m := &gguf.Model{}
		for _, f := range c.files {
			m.Files = append(m.Files, &gguf.File{Tensors: f})
		}
		if got := multipliesPlain(m); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestEnvironment(t *testing.T) {
	if v, set := os.LookupEnv(graphsOff); set {
		t.Setenv(graphsOff, v) // puts it back
		os.Unsetenv(graphsOff)
	}
	dir := t.TempDir()
	file := func(q synth.Quant) string {
		path := filepath.Join(dir, string(q)+".gguf")
		s, err := synth.Lookup("llama-15m")
		if err == nil {
			err = synth.Write(t.Context(), s, q, 1, path, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	serves := engine.ModelSpec{Name: "m", Path: file(synth.F16), GPULayers: -1, Serves: true}
	with := func(change func(*engine.ModelSpec)) engine.ModelSpec {
		s := serves
		change(&s)
		return s
	}
	for name, c := range map[string]struct {
		spec      engine.ModelSpec
		installed bool
		off       bool
	}{
		"served from a GPU": {serves, true, true},
		"compiled in":       {serves, false, false},
		"batches":           {with(func(s *engine.ModelSpec) { s.Serves = false }), true, false},
		"on the CPU":        {with(func(s *engine.ModelSpec) { s.GPULayers = 0 }), true, false},
		"no model":          {with(func(s *engine.ModelSpec) { s.Path = filepath.Join(dir, "none") }), true, false},
	} {
		env, why := environmentOf(c.spec, c.installed)
		if off := slices.Equal(env, []string{graphsOff + "=1"}) && why != ""; off != c.off || !off && (env != nil || why != "") {
			t.Errorf("%s: %q, %q", name, env, why)
		}
	}
	t.Setenv(graphsOff, "1")
	if env, why := environmentOf(serves, true); env != nil || why != "" {
		t.Errorf("set by somebody: %q, %q", env, why)
	}
}
