package gguf

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
)

// Value is a metadata value. Arrays are kept as they lie in the file and read
// on demand. The zero Value stands for a key that is not there.
type Value struct {
	Type ValueType
	Elem ValueType // of an array
	Len  uint64    // elements of an array; 1 otherwise
	raw  []byte
}

// Uint returns a whole number that is not negative.
func (v Value) Uint() (uint64, bool) {
	if len(v.raw) == 0 {
		return 0, false
	}
	switch v.Type {
	case Uint8, Uint16, Uint32, Uint64:
		return number(v.Type, v.raw), true
	case Int8, Int16, Int32, Int64:
		n := signed(v.Type, v.raw)
		return uint64(n), n >= 0
	}
	return 0, false
}

// Float returns a number.
func (v Value) Float() (float64, bool) {
	if len(v.raw) == 0 {
		return 0, false
	}
	switch v.Type {
	case Float32:
		return float64(math.Float32frombits(uint32(number(v.Type, v.raw)))), true
	case Float64:
		return math.Float64frombits(number(v.Type, v.raw)), true
	case Int8, Int16, Int32, Int64:
		return float64(signed(v.Type, v.raw)), true
	}
	n, ok := v.Uint()
	return float64(n), ok
}

// Text returns a string value.
func (v Value) Text() (string, bool) { return string(v.raw), v.Type == String }

// Bool returns a bool value.
func (v Value) Bool() (value, ok bool) {
	if v.Type != Bool {
		return false, false
	}
	return v.raw[0] != 0, true
}

// Strings yields the elements of an array of strings, nothing for others.
func (v Value) Strings() iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		if v.Type != Array || v.Elem != String {
			return
		}
		raw := v.raw
		for i := range int(v.Len) {
			n := binary.LittleEndian.Uint64(raw)
			if !yield(i, string(raw[8:8+n])) {
				return
			}
			raw = raw[8+n:]
		}
	}
}

// Uints yields the elements of an array of whole numbers (a negative one as
// its two's complement), nothing for others.
func (v Value) Uints() iter.Seq2[int, uint64] {
	return func(yield func(int, uint64) bool) {
		size, ok := v.Elem.size()
		if v.Type != Array || !ok || v.Elem == Float32 || v.Elem == Float64 {
			return
		}
		for i := range v.Len {
			if !yield(int(i), number(v.Elem, v.raw[i*size:])) {
				return
			}
		}
	}
}

// String returns the value for a message.
func (v Value) String() string {
	switch v.Type {
	case Array:
		return fmt.Sprintf("%d × %v", v.Len, v.Elem)
	case String:
		return fmt.Sprintf("%q", clip(string(v.raw)))
	}
	if len(v.raw) == 0 {
		return "missing"
	}
	switch v.Type {
	case Bool:
		return fmt.Sprint(v.raw[0] != 0)
	case Float32, Float64, Int8, Int16, Int32, Int64:
		f, _ := v.Float()
		return fmt.Sprint(f)
	}
	return fmt.Sprint(number(v.Type, v.raw))
}

func number(t ValueType, raw []byte) uint64 {
	switch valueSizes[t] {
	case 1:
		return uint64(raw[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(raw))
	case 4:
		return uint64(binary.LittleEndian.Uint32(raw))
	default:
		return binary.LittleEndian.Uint64(raw)
	}
}

func signed(t ValueType, raw []byte) int64 {
	n := number(t, raw)
	shift := 64 - 8*valueSizes[t]
	return int64(n<<shift) >> shift
}

// New returns a value of one of Go's types: uint8 to uint64, int8 to int64,
// float32, float64, bool, string, and slices of string, float32, int32 and
// uint32. It panics on another, which is a mistake of the program.
func New(x any) Value {
	le := binary.LittleEndian
	scalar := func(t ValueType, bits uint64) Value {
		return Value{Type: t, Len: 1, raw: le.AppendUint64(nil, bits)[:valueSizes[t]]}
	}
	array := func(t ValueType, n int, raw []byte) Value {
		return Value{Type: Array, Elem: t, Len: uint64(n), raw: raw}
	}
	switch x := x.(type) {
	case uint8:
		return scalar(Uint8, uint64(x))
	case int8:
		return scalar(Int8, uint64(x))
	case uint16:
		return scalar(Uint16, uint64(x))
	case int16:
		return scalar(Int16, uint64(x))
	case uint32:
		return scalar(Uint32, uint64(x))
	case int32:
		return scalar(Int32, uint64(x))
	case uint64:
		return scalar(Uint64, x)
	case int64:
		return scalar(Int64, uint64(x))
	case float32:
		return scalar(Float32, uint64(math.Float32bits(x)))
	case float64:
		return scalar(Float64, math.Float64bits(x))
	case bool:
		if x {
			return scalar(Bool, 1)
		}
		return scalar(Bool, 0)
	case string:
		return Value{Type: String, Len: 1, raw: []byte(x)}
	case []string:
		var raw []byte
		for _, s := range x {
			raw = append(le.AppendUint64(raw, uint64(len(s))), s...)
		}
		return array(String, len(x), raw)
	case []float32:
		var raw []byte
		for _, v := range x {
			raw = le.AppendUint32(raw, math.Float32bits(v))
		}
		return array(Float32, len(x), raw)
	case []int32:
		var raw []byte
		for _, v := range x {
			raw = le.AppendUint32(raw, uint32(v))
		}
		return array(Int32, len(x), raw)
	case []uint32:
		var raw []byte
		for _, v := range x {
			raw = le.AppendUint32(raw, v)
		}
		return array(Uint32, len(x), raw)
	}
	panic(fmt.Sprintf("gguf: no metadata type for %T", x))
}
