package datasets

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestTextList(t *testing.T) {
	for s, want := range map[string][]any{
		`["a", "b \"c\""]`:                       {"a", `b "c"`},
		`["Ge\u00e9 \ud83d\ude00"]`:              {"Geé 😀"},
		"[\n  \"a\",\n  \"b\"\n]":                {"a", "b"},
		`['a', "b's", None, '', 'c\'d\n\xe9']`:   {"a", "b's", nil, "", "c'd\né"},
		"['a' 'b'\n 'c' \"d's\"]":                {"a", "b", "c", "d's"},
		`['only one']`:                           {"only one"},
		`[]`:                                     nil,
		`array(['a', 'b'], dtype=object)`:        {"a", "b"},
		"array(['a',\n       'b'], dtype='<U9')": {"a", "b"},
		`[np.str_('a'), np.str_("b")]`:           {"a", "b"},
		`('a', 'b')`:                             {"a", "b"},
		`('a',)`:                                 {"a"},
		`c("a", "b, c")`:                         {"a", "b, c"},
		`list("a", NA)`:                          {"a", nil},
		` [u'a', u'b'] `:                         {"a", "b"},
		`['a; b', 'c']`:                          {"a; b", "c"},
	} {
		if got, ok, err := textList(s); err != nil || !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, %t, %v", s, got, ok, err)
		}
	}
	// What is no list stays the text that it is.
	for _, s := range []string{
		"", "a", "a; b", "No, it is not", "[sic] he said", `["sic"] he said`, "['tis] the season", "[he] and [she]", "(the keeper of the lighthouse)",
		`"a", "b"`, `("So be it," he said.)`, "f(x)", "c(1)", "I have no comment.", "x < y", "{x} is open", "'a'", "c",
	} {
		if got, ok, err := textList(s); ok || err != nil {
			t.Errorf("%s: %q, %t, %v", s, got, ok, err)
		}
	}
	// What may be one and cannot be read is refused.
	for s, why := range map[string]string{
		`[a, b]`: "not all quoted", `[a]`: "not all quoted", `[no answer given]`: "not all quoted", `[1 2]`: "not all quoted", `['a', b]`: "not all quoted", `['a' 'b' ... 'z']`: "cut short", `{'a', 'b'}`: "a set", `{"text": ["a"]}`: "an object", `[{'text': 'a'}]`: "an object",
		`['a', ['b']]`: "not all quoted", `[1, 2]`: "not all quoted", `['a\']`: "not all quoted", `["\ud800"]`: "no character",
		`['a', 'b`: "cut short", `["a", "b", `: "cut short",
		"<StringArray>\n['a', 'b']\nLength: 2, dtype: string": "not all quoted", `array([a])`: "not all quoted", `{a,b}`: "a set",
	} {
		if got, _, err := textList(s); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %q, %v, want %s", s, got, err, why)
		}
	}
}

// TestListsAsProgramsWriteThem: one query, the same in every layout.
func TestListsAsProgramsWriteThem(t *testing.T) {
	const head = "question,best_answer,correct_answers\n"
	csv := func(cell string) string {
		return head + `Is it?,No,"` + strings.ReplaceAll(cell, `"`, `""`) + "\"\n"
	}
	json := func(value string) string {
		return `{"question": "Is it?", "best_answer": "No", "correct_answers": ` + value + "}\n"
	}
	for name, content := range map[string]string{
		"as published":    csv("No; No, it is not"),
		"JSON":            json(`["No", "No, it is not"]`),
		"empty items":     json(`["No", "", "No, it is not", null, " "]`),
		"Python":          csv(`['No', 'No, it is not', '']`),
		"NumPy":           csv("['No' 'No, it is not'\n '']"),
		"JSON in CSV":     csv(`["No","No, it is not"]`),
		"R":               csv(`c("No", "No, it is not")`),
		"Python in JSON":  json(`"['No', 'No, it is not']"`),
		"JSON in JSON":    json(`"[\"No\", \"No, it is not\"]"`),
		"NumPy's, in two": csv("array(['No', 'No, it is not'],\n      dtype=object)"),
	} {
		queries, bad := mustDrain(t, content)
		if len(bad) > 0 || len(queries) != 1 || !slices.Equal(queries[0].Answers, []string{"No", "No, it is not"}) {
			t.Errorf("%s: %+v, %v", name, queries, bad)
		}
	}
	queries, bad := mustDrain(t, csv("[No, it is not]"))
	if len(queries) != 0 || len(bad) != 1 {
		t.Errorf("DuckDB's: %+v, %v", queries, bad)
	}
}

func TestBooleansAsText(t *testing.T) {
	for text, want := range map[string]int{
		`true`: 1, `"True"`: 1, `"TRUE"`: 1, `"yes"`: 1, `1`: 1, `1.0`: 1, `"1"`: 1, `false`: 0, `"False"`: 0, `" no "`: 0, `0`: 0,
	} {
		queries, bad := mustDrain(t, fmt.Sprintf(`{"question": "is it", "answer": %s, "passage": "It is."}`, text))
		if len(bad) > 0 || len(queries) != 1 || (queries[0].Options[queries[0].Answer] == " yes") != (want == 1) {
			t.Errorf("%s: %+v, %v", text, queries, bad)
		}
	}
}

func TestPromptWithAnswerOrCompletion(t *testing.T) {
	for content, want := range map[string][]string{
		`{"prompt": "p", "answer": "a"}`:                        {"a"},
		`{"prompt": "p", "completion": " a"}`:                   {"a"},
		`{"prompt": "p", "response": "a"}`:                      {"a"},
		`{"prompt": "p", "answer": ["a", "b", ""]}`:             {"a", "b"},
		`{"prompt": "p", "answer": 42}`:                         {"42"},
		`{"prompt": "p", "answers": null, "completion": "a"}`:   {"a"},
		`{"prompt": "p"}`:                                       nil,
		`{"prompt": "p", "answer": null}`:                       nil,
		"prompt,completion\np,a; b\n":                           {"a", "b"},
		"prompt,answer\np,\"['a', 'b']\"\n":                     {"a", "b"},
		`{"prompt": "p", "options": ["x", "y"], "answer": "y"}`: nil,
		`{"prompt": "p", "options": "['x', 'y']", "answer": 1}`: nil,
		"prompt,options,answer\np,\"['x' 'y']\",1\n":            nil,
	} {
		queries, bad := mustDrain(t, content)
		if len(bad) > 0 || len(queries) != 1 || !slices.Equal(queries[0].Answers, want) {
			t.Errorf("%s: %+v, %v", content, queries, bad)
		} else if strings.Contains(content, "options") && (len(queries[0].Options) != 2 || queries[0].Answer != 1) {
			t.Errorf("%s: %+v", content, queries[0])
		}
	}
}

func FuzzTextList(f *testing.F) {
	for _, s := range []string{`["a", null]`, "['a' \"b\"\n'c']", `array(['a'], dtype=object)`, `c("a\x41", 'b')`, `[np.str_('a')]`, `('a',)`, "['a' ... 'b']"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		items, ok, err := textList(s)
		if (err != nil || !ok) && len(items) > 0 {
			t.Errorf("%q: items beside %v", s, err)
		}
		for _, item := range items {
			if text, is := item.(string); item != nil && (!is || len(text) > len(s)) {
				t.Errorf("%q: item %q", s, item)
			}
		}
	})
}
