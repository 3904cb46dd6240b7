package answers

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"jouletop/gpu/plaintext"
	"jouletop/workloads/difficulty"
)

// ReadRoutes reads CSV with the columns dataset, query_id and model, whatever
// others there are, and returns the model for each dataset and query id. A model
// must be one of those given, a query may have one row only; errors name the
// line.
func ReadRoutes(in io.Reader, models []difficulty.Model) (map[[2]string]string, error) {
	r := csv.NewReader(in)
	r.ReuseRecord = true
	header, err := r.Read()
	if err == io.EOF {
		return nil, errors.New("the file is empty")
	}
	if err != nil {
		return nil, err
	}
	var at [3]int
	for i, name := range []string{"dataset", "query_id", "model"} {
		at[i] = slices.IndexFunc(header, func(h string) bool { return strings.TrimSpace(strings.TrimPrefix(h, "\ufeff")) == name })
		if at[i] < 0 {
			return nil, fmt.Errorf("line 1: no column %q; want dataset,query_id,model", name)
		}
	}
	out := map[[2]string]string{}
	for {
		row, err := r.Read()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		line, _ := r.FieldPos(0)
		key, model := [2]string{plaintext.FromCell(row[at[0]]), plaintext.FromCell(row[at[1]])}, plaintext.FromCell(row[at[2]])
		if !slices.ContainsFunc(models, func(m difficulty.Model) bool { return m.Name == model }) {
			return nil, fmt.Errorf("line %d: model %q is none of those given with --model", line, model)
		}
		if _, twice := out[key]; twice {
			return nil, fmt.Errorf("line %d: query %s of %s has a row already", line, key[1], key[0])
		}
		out[key] = model
	}
}
