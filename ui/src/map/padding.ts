/** What panels cover of the map, and a little more, in pixels of the window. */
export function paddingOf(room = 40) {
  const narrow = window.innerWidth < 720;
  const sheet = Math.round(window.innerHeight * 0.46);
  return narrow
    ? { top: 60 + room, right: 30, bottom: sheet + 120 + room / 2, left: 30 }
    : { top: 40 + room, right: 230 + room, bottom: 70 + room, left: 390 + room };
}
