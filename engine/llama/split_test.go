//go:build cgo

package llama

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"jouletop/engine"
	"jouletop/engine/gguf"
)

// writeSplit writes a model in two parts and returns the path of the second.
func writeSplit(t *testing.T, model string) string {
	t.Helper()
	whole, err := gguf.Open(model)
	if err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(model)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	dir := t.TempDir()
	half := len(whole.Tensors) / 2
	path := ""
	for no, tensors := range [][]gguf.Tensor{whole.Tensors[:half], whole.Tensors[half:]} {
		part := &gguf.File{Tensors: append([]gguf.Tensor(nil), tensors...)}
		if no == 0 {
			part.Meta = append(part.Meta, whole.Meta...)
		}
		part.Meta = append(part.Meta,
			gguf.Pair{Key: "split.no", Value: gguf.New(uint16(no))},
			gguf.Pair{Key: "split.count", Value: gguf.New(uint16(2))},
			gguf.Pair{Key: "split.tensors.count", Value: gguf.New(int32(len(whole.Tensors)))})
		head := part.Encode()
		data := append(head, make([]byte, part.Size-part.DataOffset)...)
		for i, x := range part.Tensors {
			if _, err := in.ReadAt(data[part.DataOffset+int64(x.Offset):][:x.Bytes], whole.DataOffset+int64(tensors[i].Offset)); err != nil {
				t.Fatal(err)
			}
		}
		path = filepath.Join(dir, fmt.Sprintf("small-%05d-of-00002.gguf", no+1))
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// TestSplitModel runs a model in two parts, named by its second, as the whole.
func TestSplitModel(t *testing.T) {
	b, info := loadSmall(t)
	want, err := b.Run(t.Context(), generate(12, questions...), silent{})
	if err != nil {
		t.Fatal(err)
	}
	path, err := small()
	if err != nil {
		t.Fatal(err)
	}
	split, err := b.Load(t.Context(), engine.ModelSpec{Path: writeSplit(t, path), Threads: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if split.Parameters != info.Parameters || split.SizeBytes <= info.SizeBytes {
		t.Errorf("%+v, whole %+v", split, info)
	}
	got, err := b.Run(t.Context(), generate(12, questions...), silent{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if got[i].Output.Text != want[i].Output.Text {
			t.Errorf("%d: %q, whole %q", i, got[i].Output.Text, want[i].Output.Text)
		}
	}
}
