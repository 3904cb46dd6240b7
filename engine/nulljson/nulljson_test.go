package nulljson

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

type inner struct {
	X float64 `json:"x"`
	N int     `json:"n" null:"-1"`
}

type word string

type everything struct {
	inner
	Named  inner               `json:"named"`
	List   []inner             `json:"list"`
	Deep   [][]float64         `json:"deep,omitempty"`
	Of     map[word]float64    `json:"of"`
	Any    any                 `json:"any"`
	Ptr    *float64            `json:"ptr"`
	Nil    *float64            `json:"nil"`
	None   []float64           `json:"none"`
	Empty  float64             `json:"empty,omitempty"`
	Zero   inner               `json:"zero,omitzero"`
	When   time.Time           `json:"when"`
	Never  time.Time           `json:"never,omitzero"`
	Skip   float64             `json:"-"`
	Plain  float64             // without a tag
	Minus  int                 `json:"minus"` // -1 that is a number
	Quoted string              `json:"quoted"`
	Raw    json.RawMessage     `json:"raw"`
	Small  float32             `json:"small"`
	Words  map[string][]string `json:"words,omitempty"`
	hidden float64
}

func TestMarshal(t *testing.T) {
	nan, half := math.NaN(), 0.5
	v := everything{
		inner: inner{nan, -1}, Named: inner{1e21, 7}, List: []inner{{math.Inf(-1), -1}, {0, 0}}, Deep: [][]float64{{nan}, nil},
		Of: map[word]float64{"b": nan, "a<": 2}, Any: []float64{nan}, Ptr: &half, When: time.Unix(0, 0).UTC(), Skip: nan,
		Plain: nan, Minus: -1, Quoted: "<&>", Raw: json.RawMessage(`{"k":1}`), Small: 0.1, hidden: nan,
	}
	got, err := Marshal(&v)
	want := `{"x":null,"n":null,"named":{"x":1e+21,"n":7},"list":[{"x":null,"n":null},{"x":0,"n":0}],"deep":[[null],null],` +
		`"of":{"a\u003c":2,"b":null},"any":[null],"ptr":0.5,"nil":null,"none":null,"when":"1970-01-01T00:00:00Z","Plain":null,` +
		`"minus":-1,"quoted":"\u003c\u0026\u003e","raw":{"k":1},"small":0.1}`
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
	var back everything
	if err := Unmarshal(got, &back); err != nil {
		t.Fatal(err)
	}
	if !math.IsNaN(back.X) || back.N != -1 || back.Named.N != 7 || !math.IsNaN(back.List[0].X) || back.List[0].N != -1 || back.List[1].N != 0 ||
		!math.IsNaN(back.Deep[0][0]) || !math.IsNaN(back.Of["b"]) || back.Of["a<"] != 2 || *back.Ptr != half || back.Nil != nil || !math.IsNaN(back.Plain) {
		t.Errorf("%+v", back)
	}
}

// Where everything is known the bytes are those of encoding/json.
func TestAsEncodingJSON(t *testing.T) {
	for _, v := range []any{
		everything{List: []inner{{1.5, 2}}, Of: map[word]float64{"z": 1, "a": 1e-9}, Any: map[string]any{"k": 3.25}, Raw: json.RawMessage("[]")},
		[]any{1, 2.5, "x", nil, true, []byte("ab"), map[string]int{"b": 1, "a": 2}}, nil, 3.0, "text", time.Unix(5, 0), struct{}{}, [2]float64{1, 2},
	} {
		got, err := Marshal(v)
		want, werr := json.Marshal(v)
		if err != nil || werr != nil || string(got) != string(want) {
			t.Errorf("%#v: %s, %v; want %s, %v", v, got, err, want, werr)
		}
		var indented strings.Builder
		if err := Write(&indented, v); err != nil {
			t.Error(err)
		}
		if text, _ := json.MarshalIndent(v, "", "  "); indented.String() != string(text)+"\n" {
			t.Errorf("%s, want %s", &indented, text)
		}
	}
}

func TestRefused(t *testing.T) {
	type option struct {
		X float64 `json:"x,string"`
	}
	type pointer struct{ *inner }
	for _, v := range []any{option{}, pointer{&inner{}}, map[int]float64{1: 2}, []any{make(chan int)}, struct {
		F float64
		C func()
	}{}} {
		if text, err := Marshal(v); err == nil {
			t.Errorf("%#v: %s", v, text)
		}
	}
	for _, text := range []string{"", "{", `{"x":"one"}`} {
		var v inner
		if err := Unmarshal([]byte(text), &v); err == nil {
			t.Errorf("%q read as %+v", text, v)
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add(`{"x":null,"n":null,"list":[{"x":1}],"of":{"a":null},"any":{"b":[null]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var v everything
		if Unmarshal([]byte(text), &v) != nil {
			return
		}
		once, err := Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var w everything
		if err := Unmarshal(once, &w); err != nil {
			t.Fatal(err)
		}
		if twice, err := Marshal(w); err != nil || string(once) != string(twice) {
			t.Fatalf("%v\n%s\n%s", err, once, twice)
		}
	})
}

// elsewhere are the places that may write JSON by encoding/json, and why.
var elsewhere = map[string]string{
	"gpu/clockguard":  "below engine; whole numbers and text only, which a test there sees to",
	"engine/remote":   "requests in a server's own form, from checked flags",
	"tui/preferences": "words that were typed, and no numbers",
}

// An encoder of its own brings the NaN back.
func TestNothingElseWritesJSON(t *testing.T) {
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, path)
		if err != nil || d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "internal" || d.Name() == "nulljson") {
			if err == nil && rel != "." {
				return fs.SkipDir
			}
			return err
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || elsewhere[filepath.Dir(rel)] != "" {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		name := ""
		for _, i := range file.Imports {
			if p, _ := strconv.Unquote(i.Path.Value); p == "encoding/json" {
				name = "json"
				if i.Name != nil {
					name = i.Name.Name
				}
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && name != "" {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == name && (strings.HasPrefix(s.Sel.Name, "Marshal") && s.Sel.Name != "Marshaler" || s.Sel.Name == "NewEncoder") {
					t.Errorf("%s: json.%s: use nulljson", rel, s.Sel.Name)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
