package answers

import (
	"maps"
	"strings"
	"testing"

	"jouletop/workloads/difficulty"
)

// twoModels are what the routes below go between.
var twoModels = []difficulty.Model{{Name: "small-3b", ParamsB: 3}, {Name: "large-14b", ParamsB: 14}}

func TestReadRoutes(t *testing.T) {
	for name, c := range map[string]struct {
		text, wrong string // wrong: in the error; empty: none
		want        map[[2]string]string
	}{
		"plain": {"dataset,query_id,model\nd,q1,small-3b\nd,q2,large-14b\n", "", map[[2]string]string{{"d", "q1"}: "small-3b", {"d", "q2"}: "large-14b"}},
		"other columns and order, a byte-order mark, CRLF": {
			"\ufeffmodel,x,query_id,dataset\r\nsmall-3b,\"a, b\",q1,d\r\n", "", map[[2]string]string{{"d", "q1"}: "small-3b"},
		},
		"header alone":       {"dataset,query_id,model\n", "", map[[2]string]string{}},
		"empty":              {"", "empty", nil},
		"a column missing":   {"dataset,model\nd,small-3b\n", `line 1: no column "query_id"`, nil},
		"unknown model":      {"dataset,query_id,model\nd,q1,small-3b\nd,q2,gpt\n", `line 3: model "gpt"`, nil},
		"a query twice":      {"dataset,query_id,model\nd,q1,small-3b\nd,q1,large-14b\n", "line 3: query q1 of d has a row already", nil},
		"a short row":        {"dataset,query_id,model\nd,q1\n", "line 2", nil},
		"an open quote":      {"dataset,query_id,model\nd,\"q1,small-3b\n", "line 2", nil},
		"a row of no fields": {"dataset,query_id,model\n\n\nd,q1,small-3b\n", "", map[[2]string]string{{"d", "q1"}: "small-3b"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadRoutes(strings.NewReader(c.text), twoModels)
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) {
					t.Fatalf("error %v, want %q in it", err, c.wrong)
				}
				return
			}
			if err != nil || !maps.Equal(got, c.want) {
				t.Errorf("%v, %v; want %v", got, err, c.want)
			}
		})
	}
}

func FuzzReadRoutes(f *testing.F) {
	f.Add("dataset,query_id,model\nd,q1,small-3b\n")
	f.Add("\ufeffmodel,query_id,dataset\r\nlarge-14b,\"q\n1\",d\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ReadRoutes(strings.NewReader(text), twoModels)
		if err != nil {
			return
		}
		for q, m := range got {
			if m != "small-3b" && m != "large-14b" {
				t.Errorf("query %q goes to %q, which is no model", q, m)
			}
		}
	})
}
