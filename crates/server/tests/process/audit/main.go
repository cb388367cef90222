// Checks a log with Go's own checksum-database libraries: nobody of this project wrote them.
//
// It reads lines of words from standard input, and says "ok" and a number of checks, or ends with
// what is wrong:
//
//	key VERIFIER
//	checkpoint BASE64-OF-NOTE
//	inclusion PLACE LEAF-TEXT-BASE64 HASH,HASH,...   (of the latest checkpoint)
//	consistency HASH,HASH,...                         (of the last two checkpoints)
package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type head struct {
	size int64
	root tlog.Hash
}

func fail(line int, err error) {
	fmt.Printf("line %d: %v\n", line, err)
	os.Exit(1)
}

func bytesOf(line int, text string) []byte {
	bytes, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		fail(line, err)
	}
	return bytes
}

func hashes(line int, text string) []tlog.Hash {
	var list []tlog.Hash
	for _, one := range strings.Split(text, ",") {
		if one == "" {
			continue
		}
		var hash tlog.Hash
		copy(hash[:], bytesOf(line, one))
		list = append(list, hash)
	}
	return list
}

func parse(line int, text string) head {
	lines := strings.Split(text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		fail(line, err)
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		fail(line, err)
	}
	return head{size, root}
}

func main() {
	var verifiers []note.Verifier
	var heads []head
	checks := 0
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 1<<22)
	for line := 1; input.Scan(); line++ {
		words := strings.Split(input.Text(), " ")
		switch words[0] {
		case "key":
			verifier, err := note.NewVerifier(words[1])
			if err != nil {
				fail(line, err)
			}
			verifiers = append(verifiers, verifier)
		case "checkpoint":
			signed, err := note.Open(bytesOf(line, words[1]), note.VerifierList(verifiers...))
			if err != nil {
				fail(line, err)
			}
			heads = append(heads, parse(line, signed.Text))
			checks++
		case "inclusion":
			last := heads[len(heads)-1]
			place, err := strconv.ParseInt(words[1], 10, 64)
			if err != nil {
				fail(line, err)
			}
			leaf := tlog.RecordHash(bytesOf(line, words[2]))
			err = tlog.CheckRecord(hashes(line, words[3]), last.size, last.root, place, leaf)
			if err != nil {
				fail(line, err)
			}
			checks++
		case "consistency":
			old, last := heads[len(heads)-2], heads[len(heads)-1]
			err := tlog.CheckTree(hashes(line, words[1]), last.size, last.root, old.size, old.root)
			if err != nil {
				fail(line, err)
			}
			checks++
		default:
			fail(line, fmt.Errorf("what is %q?", words[0]))
		}
	}
	fmt.Printf("ok %d\n", checks)
}
