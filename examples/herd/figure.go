package main

import (
	"encoding/xml"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A report is what a simulation shows.
type report struct {
	title   string // the message
	setup   string // what is simulated
	tables  []table
	caption string // what the numbers say
	figure  figure
}

// A table has a name in the first column of each row and numbers in the others.
type table struct {
	head [][]string // one or more lines
	rows [][]string
}

// textWidth is the number of columns at which the text is wrapped, so that it fits a
// terminal.
const textWidth = 80

func (r report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", r.title)
	for _, line := range wrap(r.setup, textWidth) {
		fmt.Fprintln(&b, line)
	}
	fmt.Fprintln(&b)
	for _, t := range r.tables {
		fmt.Fprintln(&b, t)
	}
	for _, line := range wrap(r.caption, textWidth) {
		fmt.Fprintln(&b, line)
	}
	return b.String()
}

func (t table) String() string {
	lines := append(append([][]string{}, t.head...), t.rows...)
	widths := make([]int, len(t.rows[0]))
	for _, cells := range lines {
		for i, cell := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, cells := range lines {
		line := ""
		for i, cell := range cells {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				line += "  " + cell + pad
			} else {
				line += "   " + pad + cell
			}
		}
		fmt.Fprintln(&b, strings.TrimRight(line, " "))
	}
	return b.String()
}

// meanAndError returns the text of a cell with the mean of s and its standard error.
func meanAndError(format string, s sample) string {
	return fmt.Sprintf(format+" ±"+format, s.mean(), s.se())
}

// wrap breaks text into lines of at most width characters.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line+" "+word) > width {
			lines, line = append(lines, line), word
			continue
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}

// A figure shows its panels next to each other: the cause on the left, the effect
// on the right.
type figure struct {
	panels []panel
	note   string // below the panels; can be empty
}

// A panel is a plot of lines over the same x.
type panel struct {
	title  string // what y is, with the unit
	x, y   axis
	lines  []line // the first is drawn on top
	labels []label
	band   band
}

// An axis goes from begin to end and has a tick at begin and at each multiple of
// tick after it.
type axis struct {
	label            string // only of x: what it is, with the unit
	begin, end, tick float64
}

type line struct {
	color  string // of the style
	points []point
}

type point struct{ x, y float64 }

// A label is text in the color of a line. It starts at a point and can have a
// leader, a thin line to another point.
type label struct {
	color, text string
	at          point
	leader      *point
}

// A band is a shaded interval of x. If its name is empty, there is no band.
type band struct {
	name string
	window
}

// label labels a line. The caller chooses a place where no other line is.
func (p *panel) label(line int, text string, at point) {
	p.labels = append(p.labels, label{color: p.lines[line].color, text: text, at: at})
}

// labelFrom is like label, but draws a leader from the text to a point of the line.
func (p *panel) labelFrom(line int, text string, at, to point) {
	p.labels = append(p.labels, label{p.lines[line].color, text, at, &to})
}

// The figure has its own background, so that it is legible in both color schemes.
// Lines that can overlap differ in dash and width as well as in color.
const style = `
  .back { fill: #ffffff }
  text { fill: #1f2328; font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif }
  .title { font-weight: 600; font-size: 16px }
  .name { font-weight: 600 }
  .small { fill: #59636e; font-size: 12px }
  .grid { stroke: #d1d9e0; stroke-width: 1 }
  .axis { stroke: #818b98; stroke-width: 1 }
  .band { fill: #fff0ee }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round }
  .label { stroke: #ffffff; stroke-width: 4px; stroke-linejoin: round; paint-order: stroke }
  .line.gray { stroke: #818b98; stroke-width: 4 }
  .line.blue { stroke: #0969da; stroke-dasharray: 2 5 }
  .line.red { stroke: #cf222e }
  .line.green { stroke: #1a7f37; stroke-dasharray: 8 4 }
  .line.violet { stroke: #8250df }
  .leader { stroke-width: 1 }
  .label.gray { fill: #59636e } .leader.gray { stroke: #59636e }
  .label.blue { fill: #0969da } .leader.blue { stroke: #0969da }
  .label.red { fill: #cf222e } .leader.red { stroke: #cf222e }
  .label.green { fill: #1a7f37 } .leader.green { stroke: #1a7f37 }
  .label.violet { fill: #8250df } .leader.violet { stroke: #8250df }
  @media (prefers-color-scheme: dark) {
    .back { fill: #0d1117 }
    text { fill: #f0f6fc }
    .small { fill: #9198a1 }
    .grid { stroke: #2a313a }
    .axis { stroke: #656c76 }
    .band { fill: #2d1417 }
    .label { stroke: #0d1117 }
    .line.gray { stroke: #656c76 }
    .line.blue { stroke: #4493f8 }
    .line.red { stroke: #ff7b72 }
    .line.green { stroke: #3fb950 }
    .line.violet { stroke: #bc8cff }
    .label.gray { fill: #9198a1 } .leader.gray { stroke: #9198a1 }
    .label.blue { fill: #4493f8 } .leader.blue { stroke: #4493f8 }
    .label.red { fill: #ff7b72 } .leader.red { stroke: #ff7b72 }
    .label.green { fill: #3fb950 } .leader.green { stroke: #3fb950 }
    .label.violet { fill: #bc8cff } .leader.violet { stroke: #bc8cff }
  }
`

// All lengths are in pixels.
const (
	figureWidth  = 860.0
	figureMargin = 20.0
	plotHeight   = 210.0
	panelLeft    = 44.0 // room for the numbers of y
	panelRight   = 14.0
	panelTop     = 56.0 // room for the title and the name of the band
	panelBottom  = 42.0 // room for the numbers and the label of x
	noteHeight   = 20.0
)

// svg draws the figure: the title, the panels, and the note.
func (r report) svg() string {
	d := new(drawing)
	y := figureMargin + 12
	d.text(figureMargin, y, "title", "start", r.title)
	width := (figureWidth - 2*figureMargin) / float64(len(r.figure.panels))
	for i, p := range r.figure.panels {
		left := figureMargin + float64(i)*width
		d.panel(p, left+panelLeft, y+panelTop, width-panelLeft-panelRight, plotHeight)
	}
	y += panelTop + plotHeight + panelBottom
	if r.figure.note != "" {
		y += noteHeight
		d.text(figureMargin, y, "small", "start", r.figure.note)
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" role="img" aria-label="%s">
<style>%s</style>
<rect class="back" width="100%%" height="100%%" rx="6"/>
%s</svg>
`, number(figureWidth), number(y+figureMargin/2), escape(r.title+". "+r.setup), style, &d.elements)
}

// A drawing collects SVG elements.
type drawing struct{ elements strings.Builder }

// panel draws the plot of p into a rectangle, and its title and numbers around it.
func (d *drawing) panel(p panel, left, top, width, height float64) {
	// The conversions keep the compiler from fusing the product and the sum, which
	// would round differently.
	atX := func(v float64) float64 { return left + float64((v-p.x.begin)/(p.x.end-p.x.begin)*width) }
	atY := func(v float64) float64 { return top + height - float64((v-p.y.begin)/(p.y.end-p.y.begin)*height) }

	d.text(left-panelLeft, top-26, "name", "start", p.title)
	if p.band.name != "" {
		from, to := atX(p.band.from.Seconds()), atX(p.band.to.Seconds())
		d.add(`<rect class="band" x="%s" y="%s" width="%s" height="%s"/>`, number(from), number(top), number(to-from), number(height))
		d.text((from+to)/2, top-6, "small", "middle", p.band.name)
	}
	for v := p.y.begin; v <= p.y.end; v += p.y.tick {
		d.stroke("grid", left, atY(v), left+width, atY(v))
		d.text(left-8, atY(v)+4, "small", "end", number(v))
	}
	for v := p.x.begin; v <= p.x.end; v += p.x.tick {
		d.stroke("axis", atX(v), top+height, atX(v), top+height+4)
		d.text(atX(v), top+height+18, "small", "middle", number(v))
	}
	d.stroke("axis", left, top+height, left+width, top+height)
	d.text(left+width/2, top+height+36, "small", "middle", p.x.label)

	for _, l := range slices.Backward(p.lines) {
		path := make([]string, len(l.points))
		for i, at := range l.points {
			path[i] = number(atX(at.x)) + " " + number(atY(at.y))
		}
		d.add(`<path class="line %s" d="M%s"/>`, l.color, strings.Join(path, "L"))
	}
	for _, l := range p.labels {
		if l.leader != nil {
			from := atX(l.at.x) + 4
			if end := from + 7*float64(len(l.text)); atX(l.leader.x) > end {
				from = end
			}
			d.stroke("leader "+l.color, from, atY(l.at.y)-5, atX(l.leader.x), atY(l.leader.y))
		}
		d.text(atX(l.at.x), atY(l.at.y), "label "+l.color, "start", l.text)
	}
}

func (d *drawing) add(format string, args ...any) {
	fmt.Fprintf(&d.elements, format+"\n", args...)
}

func (d *drawing) text(x, y float64, class, anchor, text string) {
	d.add(`<text class="%s" x="%s" y="%s" text-anchor="%s">%s</text>`, class, number(x), number(y), anchor, escape(text))
}

func (d *drawing) stroke(class string, x1, y1, x2, y2 float64) {
	d.add(`<path class="%s" d="M%s %sL%s %s"/>`, class, number(x1), number(y1), number(x2), number(y2))
}

// number returns v with at most one decimal.
func number(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

func escape(text string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(text))
	return b.String()
}
