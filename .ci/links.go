// Links checks the links between the files of the repository: in every Markdown file
// below the current directory, each relative link must name a file that git knows, and
// each fragment must name a heading. Links to other sites are not checked.
package main

import (
	"fmt"
	"log"
	"net/url"
	"os"
	"os/exec"
	"path"
	"regexp"
	"strings"
)

var (
	fence   = regexp.MustCompile("(?ms)^ *(```|~~~).*?^ *(```|~~~)[ \t]*$")
	code    = regexp.MustCompile("`[^`\n]*`")
	target  = regexp.MustCompile(`\]\(\s*<?([^\s()<>]+)|(?m)^ {0,3}\[[^\]\n]+\]:\s+<?([^\s<>]+)|(?:src|href)="([^"]+)"`)
	heading = regexp.MustCompile(`(?m)^ {0,3}#{1,6}[ \t]+(.*?)[ \t#]*$`)
	link    = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
	dropped = regexp.MustCompile(`[^\p{L}\p{N}\p{M}_\- ]`)
)

func main() {
	log.SetFlags(0)
	out, err := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		log.Fatal("git ls-files: ", err)
	}
	known := map[string]bool{".": true} // files and their directories
	texts := map[string]string{}        // the Markdown files, without code blocks
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if strings.HasSuffix(name, ".md") {
			data, err := os.ReadFile(name)
			if err != nil {
				log.Fatal(err)
			}
			texts[name] = fence.ReplaceAllString(string(data), "")
		}
		for ; !known[name]; name = path.Dir(name) {
			known[name] = true
		}
	}

	links, broken := 0, 0
	for name, text := range texts {
		for _, m := range target.FindAllStringSubmatch(code.ReplaceAllString(text, ""), -1) {
			u, err := url.Parse(m[1] + m[2] + m[3])
			if err == nil && (u.Scheme != "" || u.Host != "") {
				continue
			}
			links++
			if err == nil {
				err = check(name, u, known, texts)
			}
			if err != nil {
				broken++
				log.Printf("%s: %s: %v", name, m[0], err)
			}
		}
	}
	if broken > 0 {
		log.Fatalf("%d of %d links are broken", broken, links)
	}
	fmt.Printf("%d links in %d files\n", links, len(texts))
}

// check returns an error if the link u in the file from is broken.
func check(from string, u *url.URL, known map[string]bool, texts map[string]string) error {
	to := from
	if u.Path != "" {
		to = path.Join(path.Dir(from), u.Path)
	}
	if !known[to] {
		return fmt.Errorf("there is no file %s", to)
	}
	if text, ok := texts[to]; ok && u.Fragment != "" && !anchors(text)[u.Fragment] {
		return fmt.Errorf("%s has no heading #%s", to, u.Fragment)
	}
	return nil
}

// anchors returns the fragments that GitHub gives to the headings of text.
func anchors(text string) map[string]bool {
	set := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		title := strings.ToLower(link.ReplaceAllString(m[1], "$1"))
		slug := strings.ReplaceAll(dropped.ReplaceAllString(title, ""), " ", "-")
		unique := slug
		for i := 1; set[unique]; i++ {
			unique = fmt.Sprintf("%s-%d", slug, i)
		}
		set[unique] = true
	}
	return set
}
