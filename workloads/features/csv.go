package features

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
)

// Row is one query's line of the features file.
type Row struct {
	Dataset, QueryID string
	Features
}

// Header names the columns that [WriteCSV] writes.
var Header = []string{
	"dataset", "query_id", "words", "tokens", "token_entropy_bits", "entity_density",
	"causal_score", "reasoning_complexity", "complexity_score", "class",
}

// WriteCSV writes the header and one line a row (RFC 4180). Numbers carry all
// their digits.
func WriteCSV(w io.Writer, rows []Row) error {
	out := csv.NewWriter(w)
	if err := out.Write(Header); err != nil {
		return fmt.Errorf("features: write CSV: %w", err)
	}
	num := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	for _, r := range rows {
		err := out.Write([]string{
			r.Dataset, r.QueryID, strconv.Itoa(r.Words), strconv.Itoa(r.Tokens),
			num(r.TokenEntropyBits), num(r.EntityDensity), num(r.CausalScore),
			num(r.ReasoningComplexity), num(r.ComplexityScore), string(r.Class),
		})
		if err != nil {
			return fmt.Errorf("features: write CSV: %w", err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("features: write CSV: %w", err)
	}
	return nil
}
