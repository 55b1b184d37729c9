package mcptool

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// An Input is a value that a config file leaves to the person who uses it, in
// its "inputs".
type Input struct {
	ID          string
	Description string   // for people; may be empty
	Default     string   // what is meant if they give nothing
	Options     []string // what they may choose from; if nil, the value is free
	Secret      bool     // it must not be shown while it is typed
}

// inputPrefix stands before the names of variables that hold inputs.
const inputPrefix = "TRAMONTANE_INPUT_"

// variables are what stands for something in a config file.
type variables struct {
	file      *configFile
	workspace string
	ask       func(Input) (string, error) // may be nil
	inputs    map[string]Input
	answers   map[string]string
}

// readInputs reads the "inputs" of a file.
func (v *variables) readInputs(n node) error {
	f := v.file
	elements, err := f.elements(n)
	if err != nil {
		return err
	}
	v.inputs = make(map[string]Input)
	for _, e := range elements {
		input, err := f.input(e)
		if err != nil {
			return err
		}
		if _, twice := v.inputs[input.ID]; twice {
			return f.errorf(e, "input %q stands there twice", input.ID)
		}
		v.inputs[input.ID] = input
	}
	return nil
}

func (f *configFile) input(n node) (Input, error) {
	settings, err := f.members(n)
	if err != nil {
		return Input{}, err
	}
	var in Input
	for _, m := range settings {
		if m.value.null() {
			continue
		}
		switch m.name {
		case "id":
			in.ID, err = f.text(m.value)
		case "description":
			in.Description, err = f.text(m.value)
		case "default":
			in.Default, err = f.text(m.value)
		case "password":
			in.Secret, err = f.flag(m.value)
		case "options":
			in.Options, err = f.inputOptions(m.value)
		}
		if err != nil {
			return Input{}, err
		}
	}
	if in.ID == "" {
		return Input{}, f.errorf(n, `an input needs an "id"`)
	}
	return in, nil
}

// inputOptions reads a list of strings, or of objects with a label and a value.
func (f *configFile) inputOptions(n node) ([]string, error) {
	elements, err := f.elements(n)
	if err != nil {
		return nil, err
	}
	options := make([]string, 0, len(elements))
	for _, e := range elements {
		if kindOf(e) == "an object" {
			pair, err := f.members(e)
			if err != nil {
				return nil, err
			}
			i := slices.IndexFunc(pair, func(m member) bool { return m.name == "value" })
			if i < 0 {
				return nil, f.errorf(e, `the option has no "value"`)
			}
			e = pair[i].value
		}
		option, err := f.text(e)
		if err != nil {
			return nil, err
		}
		options = append(options, option)
	}
	return options, nil
}

// answer returns the value of an input.
func (v *variables) answer(id string) (string, error) {
	if answer, ok := v.answers[id]; ok {
		return answer, nil
	}
	variable := inputPrefix + strings.ToUpper(strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return r
		}
		return '_'
	}, id))
	input, known := v.inputs[id]
	answer, err := os.Getenv(variable), error(nil)
	switch {
	case answer != "":
	case !known:
		return "", fmt.Errorf("there is no input %q in \"inputs\"; set the variable %s, or add it", id, variable)
	case v.ask != nil:
		answer, err = v.ask(input)
		answer = cmp.Or(answer, input.Default)
	case input.Default != "":
		answer = input.Default
	default:
		err = errors.New("nobody can be asked")
	}
	switch {
	case err != nil && input.Description != "":
		return "", fmt.Errorf("input %q (%s): %w; set the variable %s", id, visible(input.Description), err, variable)
	case err != nil:
		return "", fmt.Errorf("input %q: %w; set the variable %s", id, err, variable)
	case input.Options != nil && !slices.Contains(input.Options, answer):
		return "", fmt.Errorf("input %q is none of %s; set the variable %s to one of them", id, strings.Join(input.Options, ", "), variable)
	}
	v.answers[id] = answer
	return answer, nil
}

var variable = regexp.MustCompile(`\$\{([^{}]*)\}`)

// expand replaces the variables in a value. What is put in is not expanded
// again, and a $ without braces stands for itself.
func (v *variables) expand(n node, value string) (string, error) {
	var failed error
	value = variable.ReplaceAllStringFunc(value, func(found string) string {
		to, err := v.lookup(found[2 : len(found)-1])
		if err != nil && failed == nil {
			failed = v.file.errorf(n, "%w", err)
		}
		return to
	})
	return value, failed
}

// lookup returns what stands for ${name}.
func (v *variables) lookup(name string) (string, error) {
	switch name {
	case "workspaceFolder":
		return v.workspace, nil
	case "workspaceFolderBasename":
		return filepath.Base(v.workspace), nil
	case "userHome":
		return os.UserHomeDir()
	case "cwd":
		return os.Getwd()
	case "pathSeparator", "/":
		return string(filepath.Separator), nil
	}
	if id, ok := strings.CutPrefix(name, "input:"); ok {
		return v.answer(id)
	}
	written := name
	name, def, hasDefault := strings.Cut(name, ":-")
	name = strings.TrimPrefix(name, "env:")
	if name == "" || strings.Contains(name, ":") {
		return "", fmt.Errorf("${%s} is not supported; there are ${NAME}, ${NAME:-default}, ${env:NAME}, ${input:ID}, ${workspaceFolder}, ${userHome} and ${/}", written)
	}
	value, ok := os.LookupEnv(name)
	switch {
	case ok && (value != "" || !hasDefault):
		return value, nil
	case hasDefault:
		return def, nil
	}
	return "", fmt.Errorf("variable %s is not set; set it or write ${%s:-default}", name, name)
}

// maxEnvFile bounds what is read as a file of variables.
const maxEnvFile = 1 << 20

var envLine = regexp.MustCompile(`^(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=\s*(.*)$`)

// readEnvFile reads variables from lines of NAME=value. Values may be quoted;
// within double quotes \n is the end of a line. Lines that begin with # and
// what stands behind " #" are comments. Nothing is expanded. An error names the
// line, never what stands in it.
func readEnvFile(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("it is no regular file")}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxEnvFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxEnvFile:
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("it is too large")}
	}
	vars := make(map[string]string)
	for i, line := range bytes.Split(bytes.TrimPrefix(data, []byte("\ufeff")), []byte("\n")) {
		text := strings.TrimSpace(string(line))
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		m := envLine.FindStringSubmatch(text)
		if m == nil {
			return nil, fmt.Errorf("%s:%d: want NAME=value", path, i+1)
		}
		value, ok := envValue(m[2])
		if !ok {
			return nil, fmt.Errorf("%s:%d: a quote is not closed on its line, or there is something behind it", path, i+1)
		}
		vars[m[1]] = value
	}
	return vars, nil
}

func envValue(s string) (string, bool) {
	if s == "" || !strings.ContainsAny(s[:1], "\"'`") {
		if i := strings.Index(s, " #"); i >= 0 {
			s = s[:i]
		}
		return strings.TrimSpace(s), true
	}
	quote := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == quote:
			rest := strings.TrimSpace(s[i+1:])
			return b.String(), rest == "" || strings.HasPrefix(rest, "#")
		case quote == '"' && s[i] == '\\' && i+1 < len(s):
			i++
			switch s[i] {
			case 'n':
				b.WriteByte('\n')
			case 'r':
				b.WriteByte('\r')
			case 't':
				b.WriteByte('\t')
			case '"', '\\':
				b.WriteByte(s[i])
			default:
				b.WriteByte('\\')
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return "", false
}
