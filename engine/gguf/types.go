package gguf

import "fmt"

// TensorType is how a tensor's elements are stored (ggml_type).
type TensorType uint32

// The types that this package names; the others are known by their sizes.
const (
	F32   TensorType = 0
	F16   TensorType = 1
	Q8_0  TensorType = 8
	Q4K   TensorType = 12
	Q6K   TensorType = 14
	BF16  TensorType = 30
	MXFP4 TensorType = 39
)

// typeInfo: elements and bytes of a block, and whether llama.cpp can multiply
// by a matrix of the type.
type typeInfo struct {
	name         string
	block, bytes uint64
	weight       bool
}

// tensorTypes is after ggml_type and the block structs of ggml-common.h.
var tensorTypes = map[TensorType]typeInfo{
	F32:   {"F32", 1, 4, true},
	F16:   {"F16", 1, 2, true},
	2:     {"Q4_0", 32, 18, true},
	3:     {"Q4_1", 32, 20, true},
	6:     {"Q5_0", 32, 22, true},
	7:     {"Q5_1", 32, 24, true},
	Q8_0:  {"Q8_0", 32, 34, true},
	9:     {"Q8_1", 32, 36, false},
	10:    {"Q2_K", 256, 84, true},
	11:    {"Q3_K", 256, 110, true},
	Q4K:   {"Q4_K", 256, 144, true},
	13:    {"Q5_K", 256, 176, true},
	Q6K:   {"Q6_K", 256, 210, true},
	15:    {"Q8_K", 256, 292, false},
	16:    {"IQ2_XXS", 256, 66, true},
	17:    {"IQ2_XS", 256, 74, true},
	18:    {"IQ3_XXS", 256, 98, true},
	19:    {"IQ1_S", 256, 50, true},
	20:    {"IQ4_NL", 32, 18, true},
	21:    {"IQ3_S", 256, 110, true},
	22:    {"IQ2_S", 256, 82, true},
	23:    {"IQ4_XS", 256, 136, true},
	24:    {"I8", 1, 1, false},
	25:    {"I16", 1, 2, false},
	26:    {"I32", 1, 4, false},
	27:    {"I64", 1, 8, false},
	28:    {"F64", 1, 8, false},
	29:    {"IQ1_M", 256, 56, true},
	BF16:  {"BF16", 1, 2, true},
	34:    {"TQ1_0", 256, 54, true},
	35:    {"TQ2_0", 256, 66, true},
	MXFP4: {"MXFP4", 32, 17, true},
	40:    {"NVFP4", 64, 36, true},
	41:    {"Q1_0", 128, 18, true},
	42:    {"Q2_0", 64, 18, true},
}

// String returns the type's usual name.
func (t TensorType) String() string {
	if i, ok := tensorTypes[t]; ok {
		return i.name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// Size returns the bytes of n elements, a whole number of blocks.
func (t TensorType) Size(n uint64) uint64 {
	info := tensorTypes[t]
	return n / info.block * info.bytes
}

// fileTypes names general.file_type, after llama_ftype.
var fileTypes = map[uint64]string{
	0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1",
	10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M",
	16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S",
	22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M",
	28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0",
	37: "TQ2_0", 38: "MXFP4", 39: "NVFP4", 40: "Q1_0", 41: "Q2_0",
}

// ValueType is the type of a metadata value (gguf_type).
type ValueType uint32

// The types of metadata values.
const (
	Uint8 ValueType = iota
	Int8
	Uint16
	Int16
	Uint32
	Int32
	Float32
	Bool
	String
	Array
	Uint64
	Int64
	Float64
)

var valueNames = [...]string{"u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"}

// valueSizes are the bytes of a fixed-size value; 0 for strings and arrays.
var valueSizes = [...]uint64{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8}

// String returns the type's name as llama.cpp prints it.
func (t ValueType) String() string {
	if int(t) < len(valueNames) {
		return valueNames[t]
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// size returns the bytes of a fixed-size value and whether the type is one.
func (t ValueType) size() (uint64, bool) {
	if int(t) >= len(valueSizes) || valueSizes[t] == 0 {
		return 0, false
	}
	return valueSizes[t], true
}
