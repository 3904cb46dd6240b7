package gguf

import "encoding/binary"

// Encode returns the bytes of a version 3 header, padding included: the
// tensors' data follows it directly. It sets the tensors' Offset and Bytes,
// f.Alignment, f.DataOffset and f.Size from the rest.
func (f *File) Encode() []byte {
	le := binary.LittleEndian
	f.Version, f.Alignment = 3, defaultAlign
	f.index, f.names = map[string]int{}, map[string]int{}
	str := func(b []byte, s string) []byte {
		return append(le.AppendUint64(b, uint64(len(s))), s...)
	}
	b := le.AppendUint32([]byte("GGUF"), f.Version)
	b = le.AppendUint64(b, uint64(len(f.Tensors)))
	b = le.AppendUint64(b, uint64(len(f.Meta)))
	for i, p := range f.Meta {
		f.index[p.Key] = i
		b = str(b, p.Key)
		b = le.AppendUint32(b, uint32(p.Value.Type))
		switch p.Value.Type {
		case String:
			b = str(b, string(p.Value.raw))
			continue
		case Array:
			b = le.AppendUint32(b, uint32(p.Value.Elem))
			b = le.AppendUint64(b, p.Value.Len)
		}
		b = append(b, p.Value.raw...)
	}
	next := uint64(0)
	for i := range f.Tensors {
		t := &f.Tensors[i]
		f.names[t.Name] = i
		t.Offset, t.Bytes = next, t.Type.Size(t.Elements())
		next = pad(next+t.Bytes, f.Alignment)
		b = str(b, t.Name)
		b = le.AppendUint32(b, uint32(len(t.Shape)))
		for _, d := range t.Shape {
			b = le.AppendUint64(b, d)
		}
		b = le.AppendUint32(b, uint32(t.Type))
		b = le.AppendUint64(b, t.Offset)
	}
	b = append(b, make([]byte, pad(uint64(len(b)), f.Alignment)-uint64(len(b)))...)
	f.DataOffset = int64(len(b))
	f.Size = f.DataOffset + int64(next)
	return b
}
