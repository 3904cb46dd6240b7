package remote

import (
	"encoding/binary"
	"math/rand/v2"
)

// NonceText says what a nonce is, for a session's manifest.
const NonceText = "each prompt begins with a line of 12 random letters of its own, which its input tokens hold, so that no server finds it in its cache"

// nonce returns the line that makes the next request unlike all before, from its
// first token on: servers keep the beginnings of prompts.
func (b *Backend) nonce() string {
	if b.opt.KeepCache {
		return ""
	}
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], b.opt.NonceSeed)
	binary.LittleEndian.PutUint64(seed[8:], b.nonces.Add(1))
	r := rand.New(rand.NewChaCha8(seed))
	letters := make([]byte, 12)
	for i := range letters {
		letters[i] = 'a' + byte(r.IntN(26))
	}
	return string(letters) + "\n"
}
