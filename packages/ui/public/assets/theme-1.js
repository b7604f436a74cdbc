// Browsers keep this file for ever: a change needs a new number in its name.
// Runs before the first paint, so that a remembered theme does not flash the other one.
const remembered = localStorage.getItem('millrace.theme')
if (remembered === 'dark' || remembered === 'light') {
  document.documentElement.dataset.theme = remembered
}
