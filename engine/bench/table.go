package bench

import (
	"fmt"
	"io"
	"math"
	"strings"

	"jouletop/engine"
)

// WriteTable writes rows as the Markdown table that llama-bench prints, with the
// joules and watts beside unless these mean nothing. infos describes the models by
// name.
func WriteTable(w io.Writer, rows []Row, infos map[string]engine.ModelInfo, joules bool) error {
	head := []string{"model", "size", "params", "device", "test", "t/s", "J/token", "W"}
	if !joules {
		head = head[:6]
	}
	cells := [][]string{head}
	for _, r := range rows {
		i := infos[r.Model]
		model := strings.TrimSpace(r.Model + " " + i.Quantisation)
		if r.Err != "" {
			cells = append(cells, []string{model, "", "", "", r.Test, "failed: " + oneCell(r.Err), "", ""})
			continue
		}
		cells = append(cells, []string{
			model, fmt.Sprintf("%.2f GiB", float64(i.SizeBytes)/(1<<30)), fmt.Sprintf("%.2f B", float64(i.Parameters)/1e9),
			strings.Join(i.Devices, "+"), r.Test, plusMinus(r.TokensPerS, r.TokensDev), plusMinus(r.JPerToken, r.JPerTokErr), plusMinus(r.Watts, r.WattsErr),
		})
	}
	widths := make([]int, len(head))
	for n := range cells {
		cells[n] = cells[n][:len(head)]
		for i, c := range cells[n] {
			widths[i] = max(widths[i], len([]rune(c)))
		}
	}
	for n, row := range cells {
		var b strings.Builder
		for i, c := range row {
			pad := strings.Repeat(" ", widths[i]-len([]rune(c)))
			if i == 0 || i == 3 { // names are left, numbers right
				c += pad
			} else {
				c = pad + c
			}
			b.WriteString("| " + c + " ")
		}
		if n == 0 {
			b.WriteString("|\n")
			for i, width := range widths {
				line := strings.Repeat("-", width)
				if i == 0 || i == 3 {
					b.WriteString("| " + line + " ")
				} else {
					b.WriteString("| " + line[1:] + ": ")
				}
			}
		}
		if _, err := fmt.Fprintln(w, b.String()+"|"); err != nil {
			return err
		}
	}
	return nil
}

// plusMinus writes a value to the digits that its error leaves; "unresolved" for
// NaN.
func plusMinus(v, err float64) string {
	if math.IsNaN(v) {
		return "unresolved"
	}
	digits := 2
	if most := math.Abs(v); most > 0 && most < 10 {
		digits = min(6, 3-int(math.Floor(math.Log10(most))))
	}
	if math.IsNaN(err) {
		return fmt.Sprintf("%.*f", digits, v)
	}
	return fmt.Sprintf("%.*f ± %.*f", digits, v, digits, err)
}

// oneCell keeps a text from breaking the table.
func oneCell(s string) string {
	return strings.NewReplacer("|", "/", "\n", " ").Replace(s)
}
