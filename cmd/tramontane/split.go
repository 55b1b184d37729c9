package main

import (
	"errors"
	"strings"
)

// splitWords splits a line into words as a shell does: at white space, except
// in quotes and after a backslash. It expands nothing.
func splitWords(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	begun := false
	runes := []rune(line)
	for i := 0; i < len(runes); i++ {
		switch c := runes[i]; c {
		case ' ', '\t', '\n':
			if begun {
				words = append(words, word.String())
				word.Reset()
				begun = false
			}
		case '\'', '"':
			n, err := quoted(&word, runes[i:])
			if err != nil {
				return nil, err
			}
			i += n
			begun = true
		case '\\':
			if i++; i == len(runes) {
				return nil, errors.New(`it ends with a backslash`)
			}
			word.WriteRune(runes[i])
			begun = true
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}

// quoted writes what stands in the quotes that in begins with, and returns the
// place of the closing one. In double quotes a backslash counts only before
// another one and before a quote.
func quoted(word *strings.Builder, in []rune) (int, error) {
	quote := in[0]
	for i := 1; i < len(in); i++ {
		switch {
		case in[i] == quote:
			return i, nil
		case quote == '"' && in[i] == '\\' && i+1 < len(in) && (in[i+1] == '"' || in[i+1] == '\\'):
			i++
		}
		word.WriteRune(in[i])
	}
	return 0, errors.New("a quote is not closed")
}
