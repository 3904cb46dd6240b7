package main

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// The load under which our own engine and llama-server are compared: more comes than
// either serves, so that what counts is how fast it is done.
const (
	versusModel    = "llama-135m"
	versusPairs    = 5
	versusRequests = 16
	versusSlots    = 8
	versusChunk    = 512
	versusRate     = 20 // requests a second
)

// versus compares the throughput of our own engine and of a llama-server, with the same
// slots, chunk, threads, lengths and arrivals, in turns.
func versus(program, server string) error {
	dir, err := os.MkdirTemp("", "benchserving")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	model := filepath.Join(dir, "model.gguf")
	if out, err := exec.Command(program, "synth", versusModel, "-o", model).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	var trace bytes.Buffer
	rng, at := rand.New(rand.NewPCG(3, 4)), 0.0
	for range versusRequests {
		fmt.Fprintf(&trace, `{"timestamp": %d, "input_length": %d, "output_length": %d, "hash_ids": []}`+"\n", int(at*1e3), 32+rng.IntN(96), 16+rng.IntN(32))
		at += rng.ExpFloat64() / versusRate
	}
	if err := os.WriteFile(filepath.Join(dir, "trace.jsonl"), trace.Bytes(), 0o644); err != nil {
		return err
	}
	url, stop, err := startServer(server, model)
	if err != nil {
		return err
	}
	fmt.Printf("\n%s on the CPU, %d requests at %d a second, %d slots, chunks of %d: tokens read and generated a second\n", versusModel, versusRequests, versusRate, versusSlots, versusChunk)
	run := func(name string, more ...string) (perS float64, err error) {
		args := append([]string{"run", "--gpu", "sim", "--dataset", "truthfulqa", "--arrivals", "trace:" + filepath.Join(dir, "trace.jsonl"), "--session", filepath.Join(dir, name)}, more...)
		if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
			return 0, fmt.Errorf("%s: %w: %s", name, err, out)
		}
		return throughput(filepath.Join(dir, name))
	}
	var ratios []float64
	for i := range versusPairs {
		theirs, e1 := run(fmt.Sprintf("server%d", i), "--url", url)
		ours, e2 := run(fmt.Sprintf("own%d", i), "--backend", "llama", "--model", model, "--slots", strconv.Itoa(versusSlots), "--prefill-chunk", strconv.Itoa(versusChunk))
		if err := errors.Join(e1, e2); err != nil {
			return errors.Join(err, stop())
		}
		fmt.Printf("    %.1f of ours, %.1f of llama-server\n", ours, theirs)
		ratios = append(ratios, ours/theirs)
	}
	check("our throughput by llama-server's, median", median(ratios), "", 1, 100)
	fmt.Printf("    from %.3f to %.3f\n", slices.Min(ratios), slices.Max(ratios))
	return stop()
}

// startServer starts a llama-server and waits until it serves.
func startServer(server, model string) (url string, stop func() error, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	if err := l.Close(); err != nil {
		return "", nil, err
	}
	cmd := exec.Command(server, "-m", model, "-np", strconv.Itoa(versusSlots), "-c", strconv.Itoa(versusSlots*1024), "-b", strconv.Itoa(versusChunk), "-ub", strconv.Itoa(versusChunk),
		"--port", port, "--metrics", "--no-webui")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // it ends with this program
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() error {
		err := cmd.Process.Kill()
		_ = cmd.Wait() // killed
		return err
	}
	url = "http://127.0.0.1:" + port
	for range 300 {
		time.Sleep(100 * time.Millisecond)
		resp, err := http.Get(url + "/health")
		if err == nil && errors.Join(resp.Body.Close()) == nil && resp.StatusCode == http.StatusOK {
			return url, stop, nil
		}
	}
	return "", nil, errors.Join(fmt.Errorf("%s does not serve", server), stop())
}

// throughput is how many tokens a second a session's requests read and generated, from
// the first that came to the last that ended.
func throughput(dir string) (float64, error) {
	tokens, from, to, rows := 0, int64(0), int64(0), 0
	err := table(dir, "requests.csv", func(field func(string) string) error {
		in, e1 := strconv.Atoi(field("input_tokens"))
		out, e2 := strconv.Atoi(field("output_tokens"))
		arrival, e3 := strconv.ParseInt(field("arrival_ns"), 10, 64)
		end, e4 := strconv.ParseInt(field("end_ns"), 10, 64)
		if err := cmp.Or(e1, e2, e3, e4); err != nil || field("error") != "" {
			return fmt.Errorf("%w: %v %s", csv.ErrFieldCount, err, field("error"))
		}
		if rows++; rows == 1 {
			from = arrival
		}
		tokens, from, to = tokens+in+out, min(from, arrival), max(to, end)
		return nil
	})
	if err == nil && rows != versusRequests {
		err = fmt.Errorf("%d requests of %d", rows, versusRequests)
	}
	return float64(tokens) / (float64(to-from) / 1e9), err
}
