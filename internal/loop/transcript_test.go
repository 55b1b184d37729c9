package loop_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/tramontane-dev/tramontane/internal/loop"
	"github.com/tramontane-dev/tramontane/mistral"
)

// A transcript is one fenced block of design/loop.md that begins a run.
type transcript struct {
	name  string
	steps []*step
}

// A step is an event and the commands that must answer it.
type step struct {
	line  int
	text  string
	event loop.Event // nil if the program dies here
	want  []string
}

// readTranscripts reads design/loop.md, of which the head explains the grammar.
func readTranscripts(tb testing.TB) []transcript {
	tb.Helper()
	file, err := os.Open("../../design/loop.md")
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	var all []transcript
	var heading string
	var block []string
	fenced := false
	n, start := 0, 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		n++
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "```") && !fenced:
			fenced, block, start = true, nil, n+1
		case strings.HasPrefix(line, "```"):
			fenced = false
			if len(block) == 0 || !strings.HasPrefix(block[0], "-> begin") {
				continue
			}
			steps, err := parseBlock(block, start)
			if err != nil {
				tb.Fatalf("design/loop.md:%v", err)
			}
			all = append(all, transcript{name: heading, steps: steps})
		case fenced:
			block = append(block, line)
		case strings.HasPrefix(line, "#"):
			heading = strings.TrimSpace(strings.TrimLeft(line, "#"))
		}
	}
	if len(all) == 0 {
		tb.Fatal("design/loop.md has no transcripts")
	}
	return all
}

func parseBlock(lines []string, start int) ([]*step, error) {
	var steps []*step
	p := &parser{}
	for i := 0; i < len(lines); i++ {
		line, n := lines[i], start+i
		if line == "" {
			continue
		}
		for i+1 < len(lines) && strings.HasPrefix(lines[i+1], " ") {
			i++
			line += "\n" + strings.TrimSpace(lines[i])
		}
		arrow, text, _ := strings.Cut(line, " ")
		switch {
		case arrow == "->":
			event, err := p.event(text)
			if err != nil {
				return nil, fmt.Errorf("%d: %s: %w", n, text, err)
			}
			steps = append(steps, &step{line: n, text: text, event: event})
		case arrow == "<-" && len(steps) > 0:
			last := steps[len(steps)-1]
			last.want = append(last.want, text)
		default:
			return nil, fmt.Errorf("%d: %q is neither event nor command", n, line)
		}
	}
	return steps, nil
}

// A parser numbers the entries of a transcript: e1, e2, and so on.
type parser struct{ entries int }

func (p *parser) event(text string) (loop.Event, error) {
	head, rest, _ := strings.Cut(text, "\n")
	words, err := split(head)
	if err != nil {
		return nil, err
	}
	var listed [][]string
	for i, w := range words {
		if strings.HasSuffix(w, ":") {
			if i+1 < len(words) {
				listed = append(listed, words[i+1:])
			}
			words = words[:i+1]
			words[i] = strings.TrimSuffix(w, ":")
			break
		}
	}
	for line := range strings.Lines(rest) {
		entry, err := split(line)
		if err != nil {
			return nil, err
		}
		listed = append(listed, entry)
	}
	// Entries that the API made have ids, those that the caller sends have none.
	numbered := words[0] != "begin" && words[0] != "resume"
	var entries mistral.Entries
	for _, words := range listed {
		entry, err := p.entry(words, numbered)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	word := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	switch words[0] {
	case "begin", "resume":
		return begin(words, entries)
	case "crash":
		return nil, nil
	case "cancel":
		return &loop.Cancel{}, nil
	case "tools":
		var tools []loop.Tool
		for _, name := range words[1:] {
			name, confirm := strings.CutSuffix(name, "?")
			name, safe := strings.CutSuffix(name, "*")
			tools = append(tools, loop.Tool{Name: name, Safe: safe, Confirm: confirm})
		}
		return &loop.ToolsListed{Tools: tools}, nil
	case "agent":
		return &loop.AgentPrepared{Agent: *agent(word(1))}, nil
	case "unprepared":
		return &loop.PrepareFailed{Message: word(1)}, nil
	case "reply":
		return &loop.ModelReplied{ConversationID: word(1), Outputs: entries}, nil
	case "refused":
		return &loop.ModelFailed{Message: word(1)}, nil
	case "lost":
		return &loop.ModelFailed{Message: word(1), Uncertain: true, ConversationID: word(2)}, nil
	case "broken":
		return &loop.ModelFailed{Message: word(1), Uncertain: true, Answered: true, ConversationID: word(2)}, nil
	case "history":
		return &loop.HistoryRead{Entries: entries}, nil
	case "missing":
		return &loop.HistoryRead{Missing: true}, nil
	case "unreadable":
		return &loop.HistoryRead{Message: word(1)}, nil
	case "allow", "deny", "later":
		return &loop.Decided{Verdict: loop.Verdict(words[0]), Key: word(1), Reason: word(2)}, nil
	case "word":
		return &loop.Decided{Verdict: loop.Verdict(word(2)), Key: word(1)}, nil
	case "returned":
		return &loop.ToolReturned{Key: word(1), Text: word(2)}, nil
	case "failed":
		return &loop.ToolReturned{Key: word(1), Text: word(2), IsError: true}, nil
	case "kept":
		return &loop.ToolKept{Key: word(1), Handle: json.RawMessage(word(2))}, nil
	case "left":
		return &loop.ToolLeft{Key: word(1)}, nil
	case "vanished":
		return &loop.ToolLost{Key: word(1), Message: word(2)}, nil
	}
	return nil, fmt.Errorf("no event is called %q", words[0])
}

func begin(words []string, entries mistral.Entries) (loop.Event, error) {
	b := &loop.Begin{RunID: "run", Mode: loop.Remote, MaxTurns: 10}
	for _, w := range words[1:] {
		option, value, _ := strings.Cut(w, "=")
		switch option {
		case "local":
			b.Mode = loop.Local
		case "on":
			b.ConversationID = value
		case "agent":
			b.Agent = agent(value)
		case "turns":
			b.MaxTurns, _ = strconv.Atoi(value)
		case "approve":
			b.Policy.Approve = true
		case "end-on-failure":
			b.Policy.EndOnToolFail = true
		default:
			return nil, fmt.Errorf("no option is called %q", w)
		}
	}
	b.Inputs = entries
	if words[0] == "begin" {
		return b, nil
	}
	return &loop.Resume{Policy: b.Policy, MaxTurns: b.MaxTurns, Inputs: b.Inputs}, nil
}

func agent(text string) *loop.Agent {
	id, version, pinned := strings.Cut(text, "@")
	a := &loop.Agent{ID: id}
	if pinned {
		n, _ := strconv.Atoi(version)
		a.Version = &mistral.AgentVersion{Number: n}
	}
	return a
}

func (p *parser) entry(words []string, numbered bool) (mistral.Entry, error) {
	var id string
	if last := words[len(words)-1]; strings.HasPrefix(last, "#") {
		id, words = last[1:], words[:len(words)-1]
	} else if numbered {
		p.entries++
		id = fmt.Sprintf("e%d", p.entries)
	}
	kind, words := words[0], append(words[1:], "", "", "", "")
	switch kind {
	case "input":
		return &mistral.MessageInput{ID: id, Role: mistral.RoleUser, Content: mistral.Content{Text: words[0]}}, nil
	case "message":
		return &mistral.MessageOutput{ID: id, Role: mistral.RoleAssistant, Content: mistral.Content{Text: words[0]}}, nil
	case "call":
		arguments := mistral.Arguments{Text: words[2], Object: strings.HasPrefix(words[2], "{") && json.Valid([]byte(words[2]))}
		return &mistral.FunctionCall{ID: id, ToolCallID: words[0], Name: words[1], Arguments: arguments, ConfirmationStatus: mistral.ConfirmationStatus(words[3])}, nil
	case "result":
		return &mistral.FunctionResult{ID: id, ToolCallID: words[0], Result: words[1]}, nil
	case "execution":
		return &mistral.ToolExecution{ID: id, Name: words[0], Arguments: "{}"}, nil
	case "handoff":
		return &mistral.AgentHandoff{ID: id, PreviousAgentID: words[0], NextAgentID: words[1]}, nil
	case "unknown":
		return &mistral.UnknownEntry{Type: "new", Raw: fmt.Appendf(nil, `{"type":"new","id":%q}`, id)}, nil
	}
	return nil, fmt.Errorf("no entry is called %q", kind)
}

// split cuts a line into words. Text in quotes and a JSON object are one word
// each.
func split(line string) ([]string, error) {
	var words []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		var word string
		switch line[0] {
		case '"', '`':
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, fmt.Errorf("bad quotes: %s", line)
			}
			line = line[len(quoted):]
			word, _ = strconv.Unquote(quoted)
		case '{':
			var object json.RawMessage
			d := json.NewDecoder(strings.NewReader(line))
			if err := d.Decode(&object); err != nil {
				return nil, err
			}
			line, word = line[d.InputOffset():], string(object)
		default:
			end := strings.IndexFunc(line, unicode.IsSpace)
			if end < 0 {
				end = len(line)
			}
			word, line = line[:end], line[end:]
		}
		words = append(words, word)
	}
	return words, nil
}

// commandText is a command as design/loop.md writes it.
func commandText(command loop.Command, s loop.State) string {
	switch c := command.(type) {
	case *loop.ListTools:
		return "list tools"
	case *loop.PrepareAgent:
		return "prepare " + agentText(&c.Agent)
	case *loop.ReadHistory:
		return "read " + c.ConversationID
	case *loop.CallModel:
		head := "append " + c.ConversationID
		if c.ConversationID == "" {
			head = strings.TrimSpace("start " + agentText(c.Agent))
		}
		lines := texts(c.Inputs)
		for _, word := range c.Confirmations {
			lines = append(lines, fmt.Sprintf("%s %s", word.Confirmation, word.ToolCallID))
		}
		return list(head, lines)
	case *loop.ShowReply:
		return list("show", texts(c.Outputs))
	case *loop.Ask:
		return "ask " + callText(c.Call)
	case *loop.CallTool:
		return "call " + callText(c.Call)
	case *loop.Finish:
		if c.Reason == loop.Failed {
			return fmt.Sprintf("finish failed: %s", s.Error)
		}
		return "finish " + string(c.Reason)
	}
	return fmt.Sprintf("%T", command)
}

// list is a head with what belongs to it, each on its line unless it is alone.
func list(head string, lines []string) string {
	if len(lines) == 1 {
		return head + ": " + lines[0]
	}
	return head + ":\n" + strings.Join(lines, "\n")
}

func agentText(a *loop.Agent) string {
	if a == nil {
		return ""
	}
	if a.Version == nil {
		return a.ID
	}
	return a.ID + "@" + a.Version.String()
}

func callText(c loop.Call) string {
	text := fmt.Sprintf("%s %s %s", c.Key, c.Name, c.Arguments)
	if c.Remote {
		text += " (the server's)"
	}
	if c.Handle != nil {
		text += " with " + string(c.Handle)
	}
	return text
}

func entryText(entry mistral.Entry) string {
	var text, id string
	switch e := entry.(type) {
	case *mistral.MessageInput:
		text, id = "input "+quote(e.Content.String()), e.ID
	case *mistral.MessageOutput:
		text, id = "message "+quote(e.Content.String()), e.ID
	case *mistral.FunctionCall:
		arguments := e.Arguments.Text
		if !e.Arguments.Object {
			arguments = quote(arguments)
		}
		text, id = strings.TrimSpace(fmt.Sprintf("call %s %s %s %s", e.ToolCallID, e.Name, arguments, e.ConfirmationStatus)), e.ID
	case *mistral.FunctionResult:
		text, id = fmt.Sprintf("result %s %s", e.ToolCallID, quote(e.Result)), e.ID
	default:
		data, _ := json.Marshal(entry)
		text = string(data)
	}
	if id != "" {
		text += " #" + id
	}
	return text
}

func quote(s string) string {
	if strings.Contains(s, `"`) && strconv.CanBackquote(s) {
		return "`" + s + "`"
	}
	return strconv.Quote(s)
}

func texts(entries mistral.Entries) (texts []string) {
	for _, entry := range entries {
		texts = append(texts, entryText(entry))
	}
	return texts
}

// asJSON is how states, events and commands are compared: it is all that is
// ever kept of them.
func asJSON(tb testing.TB, v any) []byte {
	tb.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		tb.Fatalf("%T: %v", v, err)
	}
	return data
}

func asTexts(commands []loop.Command, s loop.State) []string {
	var texts []string
	for _, c := range commands {
		texts = append(texts, commandText(c, s))
	}
	return texts
}
