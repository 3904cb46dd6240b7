package gguf

import "strings"

// What architectures are for, as lists say it.
const (
	encoder        = "an encoder, for embeddings"
	encoderDecoder = "an encoder-decoder, which reads and writes with separate halves"
	diffusion      = "a diffusion model, which writes all tokens at once"
	images         = "a model of images"
	sound          = "a model of sound"
	draft          = "a draft head, which is no model by itself"
)

// specialists are architectures that generate no text token by token: those of
// llama.cpp, of today's as well, and others that are found in GGUF files.
var specialists = byName(map[string]string{
	encoder:        "bert modern-bert nomic-bert nomic-bert-moe neo-bert jina-bert-v2 jina-bert-v3 eurobert gemma-embedding llama-embed t5encoder roberta xlm-roberta distilbert",
	encoderDecoder: "t5 mt5 umt5 bart mbart marian pegasus m2m100 nllb led",
	diffusion:      "dream llada llada-moe rnd1",
	images:         "flux sd1 sdxl sd3 aura hidream cosmos ltxv hyvid wan lumina2 qwen_image",
	sound:          "wavtokenizer-dec whisper qwen3tts pockettts",
	draft:          "eagle3 dflash gemma4-assistant",
})

// generators are the bundled llama.cpp's architectures that do.
var generators = func() map[string]bool {
	m := map[string]bool{}
	for _, name := range []string{
		"llama", "llama4", "deci", "falcon", "grok", "gpt2", "gptj", "gptneox", "mpt", "baichuan",
		"starcoder", "refact", "bloom", "stablelm", "qwen", "qwen2", "qwen2moe", "qwen2vl", "qwen3",
		"qwen3moe", "qwen3next", "qwen3vl", "qwen3vlmoe", "phi2", "phi3", "phimoe", "plamo", "plamo2",
		"codeshell", "orion", "internlm2", "minicpm", "minicpm3", "gemma", "gemma2", "gemma3", "gemma3n",
		"starcoder2", "mamba", "mamba2", "jamba", "falcon-h1", "xverse", "command-r", "cohere2", "dbrx",
		"olmo", "olmo2", "olmoe", "openelm", "arctic", "deepseek", "deepseek2", "chatglm", "glm4",
		"glm4moe", "bitnet", "jais", "nemotron", "nemotron_h", "nemotron_h_moe", "exaone", "exaone4",
		"rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7", "granite", "granitemoe", "granitehybrid", "chameleon",
		"solar", "plm", "bailingmoe", "bailingmoe2", "dots1", "arcee", "afmoe", "ernie4_5",
		"ernie4_5-moe", "hunyuan-moe", "hunyuan-dense", "smollm3", "gpt-oss", "lfm2", "lfm2moe",
		"smallthinker", "seed_oss", "grovemoe", "apertus", "minimax-m2", "cogvlm", "pangu-embedded",
		"mistral3",
	} {
		m[name] = true
	}
	return m
}()

// byName turns a purpose's list of names round.
func byName(names map[string]string) map[string]string {
	m := map[string]string{}
	for purpose, list := range names {
		for _, name := range strings.Fields(list) {
			m[name] = purpose
		}
	}
	return m
}
