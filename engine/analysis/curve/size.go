package curve

import (
	"cmp"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var sizeForm = regexp.MustCompile(`(?i)(?:^|[-_.: ])(\d+(?:\.\d+)?)([mb])(?:$|[-_.: ])`)

// Billions reads a model's size in billions of parameters from its name
// (llama-3.2-1b, qwen2.5:14b, llama-135m); NaN where it does not tell.
func Billions(model string) float64 {
	m := sizeForm.FindStringSubmatch(model)
	if m == nil {
		return math.NaN()
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return math.NaN()
	}
	if strings.EqualFold(m[2], "m") {
		v /= 1000
	}
	return v
}

// sizeRank orders models by size, those of unknown size last.
func sizeRank(model string) float64 {
	if b := Billions(model); !math.IsNaN(b) {
		return b
	}
	return math.Inf(1)
}

// SortedBySize returns the models' names, small models first, those of unknown size last.
func SortedBySize(models map[string]bool) []string {
	names := slices.Sorted(maps.Keys(models))
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(sizeRank(a), sizeRank(b)) })
	return names
}
