package main

import "jouletop/engine/llama"

// engineBuilt tells whether this build has llama.cpp in it.
func engineBuilt() bool { return len(llama.Devices()) > 0 }
