package main

import "jouletop/engine/simllm"

// simKnows tells whether the simulated model has a shape of that name.
func simKnows(name string) bool {
	_, err := simllm.ShapeByName(name)
	return err == nil
}

// simNames lists the shapes of the simulated model.
func simNames() []string {
	var out []string
	for _, s := range simllm.Shapes() {
		out = append(out, s.Name)
	}
	return out
}
