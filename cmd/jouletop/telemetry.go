package main

import (
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"jouletop/engine/telemetry"
)

func (o *options) addTelemetry(f *pflag.FlagSet) {
	f.StringVar(&o.Telemetry.Listen, "listen", "", "serve metrics to Prometheus at an `address`, such as 127.0.0.1:9400, or a port of this machine (default: nowhere)")
	f.StringVar(&o.Telemetry.Push, "otlp", "", "push metrics and a trace of each request to the `address` of an OpenTelemetry receiver, such as http://127.0.0.1:4318 or grpc://127.0.0.1:4317 (default: nowhere)")
}

// openTelemetry takes the address to listen at, and says where telemetry goes.
func (o *options) openTelemetry() (*telemetry.Exporter, error) {
	x, err := telemetry.Open(o.Telemetry)
	if err != nil {
		return nil, err
	}
	for _, note := range x.Notes() {
		fmt.Fprintln(os.Stderr, "jouletop:", note)
	}
	return x, nil
}

// closeTelemetry pushes what is left. That it could not be is told, and no failure of
// what was measured.
func closeTelemetry(x *telemetry.Exporter) {
	if err := x.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "jouletop:", err)
	}
}
