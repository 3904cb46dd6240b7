// Command benchserving measures how right the energy of requests is that run among
// others: on the simulated H100, whose truth is known, and on the recording of a real
// server, where one lies beside the checkout; and that llama.cpp serves whoever comes. It
// prints figures beside their targets and
// exits with 1 where one falls short.
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"
)

var failed bool

// check prints one figure beside its target.
func check(what string, got float64, unit string, lo, hi float64) {
	verdict := "ok"
	if !(got >= lo && got <= hi) {
		verdict, failed = "SHORT", true
	}
	fmt.Printf("%-66s %9.4g %-3s %7.5g .. %-7.5g %s\n", what, got, unit, lo, hi, verdict)
}

func main() {
	recordings := flag.String("recording", "../shared/data/h100/serving", "folder of the recording of a real server")
	program := flag.String("program", "", "jouletop, to serve by llama.cpp")
	sessions := flag.String("sessions", "", "folder of sessions in which jouletop served on one GPU, judged alone")
	splits := flag.Bool("splits", false, "print what each way to divide the recording (or sessions) learns of the rest, alone")
	seeds := flag.Int("seeds", 3, "seeds of each load")
	server := flag.String("llama-server", "", "llama-server to compare the throughput with, alone")
	flag.Parse()
	start := time.Now()
	var err error
	switch {
	case *server != "":
		err = versus(*program, *server)
	case *splits:
		err = allSplits(cmp.Or(*sessions, *recordings), *sessions != "")
	case *sessions != "":
		err = servedSessions(*sessions)
	default:
		if *seeds > 0 {
			err = errors.Join(simulated(*seeds), marginals(*seeds))
		}
		if err == nil {
			err = recorded(*recordings)
		}
		if err == nil {
			err = llama(*program)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchserving:", err)
		os.Exit(1)
	}
	fmt.Printf("\n%.0f s\n", time.Since(start).Seconds())
	if failed {
		os.Exit(1)
	}
}
