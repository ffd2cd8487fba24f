// Pages in headless Chromium (browser_testing.h). In go paths of files, out
// come measurements. Tested by tests/report/browser_testing_test.cc.
#include "tests/report/browser_testing.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

using Json = nlohmann::json;

constexpr char kChromium[] = "/usr/bin/chromium";

// What Chromium writes to the console of a page: entries of several events.
std::string Text(const Json& arguments) {
  std::string text;
  for (const Json& argument : arguments) {
    const Json& value = argument.contains("value")
                            ? argument["value"]
                            : argument.value("description", Json(""));
    absl::StrAppend(
        &text, text.empty() ? "" : " ",
        value.is_string() ? value.get<std::string>() : value.dump());
  }
  return text;
}

// "example.org" of "https://example.org:80/a?b".
std::string HostOf(absl::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme != absl::string_view::npos) url.remove_prefix(scheme + 3);
  return std::string(url.substr(0, url.find_first_of("/:?#")));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Browser>> Browser::Start(
    absl::Duration patience) {
  const char* const tmp = std::getenv("TEST_TMPDIR");
  std::string folder =
      absl::StrCat(tmp == nullptr ? "/tmp" : tmp, "/browser.XXXXXX");
  if (mkdtemp(folder.data()) == nullptr) {
    return absl::ErrnoToStatus(errno, folder);
  }
  std::unique_ptr<Browser> browser(new Browser(folder, patience));
  if (absl::Status status = browser->Launch(); !status.ok()) return status;
  return browser;
}

absl::Status Browser::Launch() {
  if (access(kChromium, X_OK) != 0) {
    return absl::NotFoundError(
        absl::StrCat(kChromium,
                     ": expected Debian's package chromium "
                     "(third_party/install.sh), found none"));
  }
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) {
    return absl::ErrnoToStatus(errno, "pipe");
  }
  const std::string log = folder_ + "/log";
  std::vector<std::string> arguments = {
      kChromium, "--headless", "--no-sandbox", "--disable-gpu",
      // Some machines' /dev/shm is small.
      "--disable-dev-shm-usage", "--remote-debugging-pipe",
      "--user-data-dir=" + folder_ + "/profile", "--no-first-run",
      "--disable-background-networking", "--disable-component-update",
      "--disable-extensions", "--disable-sync", "--disable-quic",
      "--hide-scrollbars", "--force-color-profile=srgb",
      // Nothing is reached, whatever is asked for.
      "--host-resolver-rules=MAP * ~NOTFOUND",
      "--log-net-log=" + folder_ + "/net.json", "about:blank"};
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  process_ = fork();
  if (process_ == 0) {
    setpgid(0, 0);  // To be ended with all its children.
    setenv("HOME", folder_.c_str(), 1);
    // It reads commands from 3 and writes to 4; both may be taken by the pipes.
    const int reads = fcntl(in[0], F_DUPFD, 10);
    const int writes = fcntl(out[1], F_DUPFD, 10);
    dup2(reads, 3);
    dup2(writes, 4);
    close(reads);
    close(writes);
    dup2(open("/dev/null", O_RDONLY), 0);
    const int err = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(err, 1);
    dup2(err, 2);
    execv(argv[0], argv.data());
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  to_ = in[1];
  from_ = out[0];
  if (process_ < 0) return absl::ErrnoToStatus(errno, "fork");
  signal(SIGPIPE, SIG_IGN);  // Should it die, the writes' errors say so.
  return Call("Browser.getVersion", Json::object(), false).status();
}

Browser::~Browser() {
  Kill();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void Browser::Kill() {
  if (process_ > 0) {
    kill(-process_, SIGKILL);
    waitpid(process_, nullptr, 0);
    process_ = -1;
  }
  for (int* end : {&to_, &from_}) {
    if (*end >= 0) close(*end);
    *end = -1;
  }
}

absl::Status Browser::Error(const std::string& what) const {
  const std::string log = ReadText(folder_ + "/log");
  return absl::InternalError(absl::StrCat(
      "Chromium: ", what, "; the end of what it said: ",
      log.substr(log.size() - std::min<size_t>(log.size(), 1000))));
}

absl::StatusOr<Json> Browser::Read(absl::Time deadline,
                                   const std::string& awaited) {
  for (;;) {
    const size_t end = received_.find('\0');
    if (end != std::string::npos) {
      Json message = Json::parse(received_.substr(0, end));
      received_.erase(0, end + 1);
      Note(message);
      return message;
    }
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    pollfd waiting = {.fd = from_, .events = POLLIN, .revents = 0};
    if (left <= 0 || poll(&waiting, 1, static_cast<int>(left)) == 0) {
      return absl::DeadlineExceededError(
          absl::StrCat("Chromium: expected ", awaited, " within ",
                       absl::FormatDuration(patience_), ", found nothing"));
    }
    char bytes[1 << 16];
    const ssize_t count = read(from_, bytes, sizeof bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return Error("it ended before " + awaited);
    received_.append(bytes, count);
  }
}

void Browser::Note(const Json& event) {
  if (!event.contains("method") ||
      event.value("sessionId", std::string()) != session_) {
    return;
  }
  const std::string method = event["method"];
  const Json& parameters = event["params"];
  if (method == "Page.loadEventFired") {
    is_loaded_ = true;
  } else if (method == "Runtime.consoleAPICalled") {
    console_.push_back(absl::StrCat(parameters["type"].get<std::string>(), ": ",
                                    Text(parameters["args"])));
  } else if (method == "Runtime.exceptionThrown") {
    const Json& details = parameters["exceptionDetails"];
    console_.push_back(absl::StrCat(
        "error: ",
        Text(Json::array({details.value("exception", Json::object())}))));
  } else if (method == "Log.entryAdded") {
    const Json& entry = parameters["entry"];
    console_.push_back(absl::StrCat(entry["level"].get<std::string>(), ": ",
                                    entry["text"].get<std::string>()));
  } else if (method == "Network.requestWillBeSent") {
    const std::string url = parameters["request"]["url"];
    if (url != url_ && !absl::StartsWith(url, "data:")) {
      requests_.push_back(url);
    }
  }
}

absl::StatusOr<Json> Browser::Call(const std::string& method, Json parameters,
                                   bool to_page) {
  const int id = ++calls_;
  Json message = {{"id", id}, {"method", method}};
  message["params"] = std::move(parameters);
  if (to_page) message["sessionId"] = session_;
  const std::string bytes = message.dump() + '\0';
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t count = write(to_, bytes.data() + sent, bytes.size() - sent);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return Error("it ended before it was sent " + method);
    sent += count;
  }
  const absl::Time deadline = absl::Now() + patience_;
  for (;;) {
    absl::StatusOr<Json> reply = Read(deadline, "an answer to " + method);
    if (!reply.ok()) return reply.status();
    if (reply->value("id", 0) != id) continue;
    if (reply->contains("error")) {
      return Error(absl::StrCat(method, ": ", (*reply)["error"].dump()));
    }
    return (*reply)["result"];
  }
}

absl::Status Browser::Open(const std::string& path, const Window& window) {
  if (!target_.empty()) {
    const auto closed =
        Call("Target.closeTarget", {{"targetId", target_}}, false);
    if (!closed.ok()) return closed.status();
  }
  console_.clear();
  requests_.clear();
  session_.clear();
  is_loaded_ = false;
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::canonical(path, error);
  if (error) return absl::ErrnoToStatus(error.value(), path);
  url_ = "file://" + whole.string();

  absl::StatusOr<Json> result =
      Call("Target.createTarget", {{"url", "about:blank"}}, false);
  if (!result.ok()) return result.status();
  target_ = (*result)["targetId"];
  result = Call("Target.attachToTarget",
                {{"targetId", target_}, {"flatten", true}}, false);
  if (!result.ok()) return result.status();
  session_ = (*result)["sessionId"];

  const auto resize = [&](int height) {
    return Call("Emulation.setDeviceMetricsOverride",
                {{"width", window.width},
                 {"height", height},
                 {"deviceScaleFactor", 1},
                 {"mobile", window.width < 500}})
        .status();
  };
  absl::Status status = resize(900);
  const std::pair<const char*, Json> calls[] = {
      {"Emulation.setEmulatedMedia",
       {{"features",
         Json::array({{{"name", "prefers-color-scheme"},
                       {"value", window.dark ? "dark" : "light"}}})}}},
      {"Page.enable", Json::object()},
      {"Runtime.enable", Json::object()},
      {"Log.enable", Json::object()},
      {"Network.enable", Json::object()},
      {"Page.navigate", {{"url", url_}}},
  };
  for (const auto& [method, parameters] : calls) {
    if (status.ok()) status = Call(method, parameters).status();
  }
  const absl::Time deadline = absl::Now() + patience_;
  while (status.ok() && !is_loaded_) {
    status = Read(deadline, "the page to be loaded").status();
  }
  if (!status.ok()) return status;

  // As high as the page, so that each point of it can be asked what is there.
  const absl::StatusOr<Json> height =
      Evaluate("Math.ceil(document.documentElement.scrollHeight)");
  if (!height.ok()) return height.status();
  status = resize(std::max(200, height->get<int>()));
  if (!status.ok()) return status;
  return Evaluate(
             "new Promise(f => requestAnimationFrame(() => "
             "requestAnimationFrame(() => f(0))))")
      .status();
}

absl::StatusOr<Json> Browser::Evaluate(const std::string& expression) {
  absl::StatusOr<Json> result =
      Call("Runtime.evaluate", {{"expression", expression},
                                {"awaitPromise", true},
                                {"returnByValue", true}});
  if (!result.ok()) return result.status();
  if (result->contains("exceptionDetails")) {
    return Error("a script of the test: " +
                 (*result)["exceptionDetails"].dump());
  }
  return (*result)["result"].value("value", Json());
}

absl::Status Browser::Screenshot(const std::string& path) {
  const absl::StatusOr<Json> result =
      Call("Page.captureScreenshot", {{"format", "png"}});
  if (!result.ok()) return result.status();
  std::string png;
  if (!absl::Base64Unescape((*result)["data"].get<std::string>(), &png)) {
    return Error("a screenshot that is not base64");
  }
  WriteText(path, png);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> Browser::Close() {
  if (auto closed = Call("Browser.close", Json::object(), false);
      !closed.ok()) {
    return closed.status();
  }
  const absl::Time deadline = absl::Now() + patience_;
  while (waitpid(process_, nullptr, WNOHANG) == 0) {
    if (absl::Now() > deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat("Chromium: expected it to end within ",
                       absl::FormatDuration(patience_), ", found it running"));
    }
    absl::SleepFor(absl::Milliseconds(10));
  }
  kill(-process_, SIGKILL);  // Children that it left.
  process_ = -1;
  const Json log = Json::parse(ReadText(folder_ + "/net.json"), nullptr, false);
  if (log.is_discarded() || !log.contains("events")) {
    return Error("expected an account of its traffic, found none");
  }
  std::set<std::string> hosts;
  for (const Json& event : log["events"]) {
    if (!event.contains("params")) continue;
    for (const char* key : {"url", "host"}) {
      const auto value = event["params"].find(key);
      if (value == event["params"].end() || !value->is_string()) continue;
      const std::string url = *value;
      if (absl::StartsWith(url, "file:") || absl::StartsWith(url, "data:") ||
          absl::StartsWith(url, "chrome")) {
        continue;
      }
      const std::string host = HostOf(url);
      const bool is_its_own = absl::EndsWith(host, ".google.com") ||
                              absl::EndsWith(host, ".googleapis.com");
      // What --host-resolver-rules makes of every name.
      const bool is_nowhere = host == "~notfound";
      if (!host.empty() && !is_its_own && !is_nowhere) hosts.insert(host);
    }
  }
  return std::vector<std::string>(hosts.begin(), hosts.end());
}

namespace {

// The expression that Measure evaluates; see PageLook.
constexpr char kMeasure[] = R"js((async () => {
const look = {faint: [], misplaced: [], empty: [], broken: [], texts: 0,
              images: 0, smallest: 1e9,
              content: Math.max(document.documentElement.scrollWidth,
                                document.body.scrollWidth)};

// Where an element is, for those who read the result.
const place = e => {
  const box = e.closest('[id]');
  return (box ? '#' + box.id + ' ' : '') + '<' + e.tagName.toLowerCase() +
         (e.getAttribute('class') ? '.' + e.getAttribute('class') : '') + '>';
};

// Colours as [red, green, blue, alpha], 0 to 1, whatever CSS calls them.
const canvas = new OffscreenCanvas(1, 1).getContext('2d',
                                                    {willReadFrequently: true});
const known = new Map();
const color = css => {
  if (!known.has(css)) {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = css;
    canvas.fillRect(0, 0, 1, 1);
    known.set(css, [...canvas.getImageData(0, 0, 1, 1).data].map(v => v / 255));
  }
  return known.get(css);
};
const over = (top, bottom) => {
  const a = top[3];
  return [0, 1, 2].map(i => top[i] * a + bottom[i] * (1 - a)).concat(1);
};
const luminance = c => {
  const [r, g, b] = c.map(v => v <= .04045 ? v / 12.92
                                           : ((v + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b;
};
const contrast = (a, b) => {
  const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
  return (x + .05) / (y + .05);
};
const text = c => 'rgb(' + c.slice(0, 3).map(v => Math.round(v * 255)) + ')';

// Below everything: what the browser paints a page of this scheme with.
const probe = document.createElement('div');
probe.style.backgroundColor = 'Canvas';
document.body.append(probe);
const page = color(getComputedStyle(probe).backgroundColor);
probe.remove();

const isShape = e => e instanceof SVGGeometryElement;
const fade = e => {
  let opacity = 1;
  for (; e; e = e.parentElement) opacity *= getComputedStyle(e).opacity;
  return opacity;
};
// What an element fills the points within it with.
const filling = e => {
  const style = getComputedStyle(e);
  const css = isShape(e) ? style.fill : style.backgroundColor;
  if (css === 'none' || (e instanceof SVGElement && !isShape(e) &&
                         e.tagName !== 'svg')) return [0, 0, 0, 0];
  const [r, g, b, a] = color(css);
  return [r, g, b, a * (isShape(e) ? style.fillOpacity : 1) * fade(e)];
};

const ranges = [];  // Of pieces of text.
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const node = walk.currentNode, e = node.parentElement;
  if (!node.data.trim() || e.closest('title,style,script,desc')) continue;
  const range = document.createRange();
  range.selectNodeContents(node);
  const rect = range.getClientRects()[0];
  if (!rect || getComputedStyle(e).visibility !== 'visible') continue;
  ++look.texts;
  const style = getComputedStyle(e);
  const isSvg = e instanceof SVGElement;
  let scale = 1;
  if (isSvg) {
    const m = e.getScreenCTM();
    scale = Math.sqrt(Math.abs(m.a * m.d - m.b * m.c));
  }
  look.smallest = Math.min(look.smallest, parseFloat(style.fontSize) * scale);

  const x = rect.left + rect.width / 2, y = rect.top + rect.height / 2;
  let behind = page;
  for (const other of document.elementsFromPoint(x, y).reverse()) {
    if (e === other && isSvg) continue;
    behind = over(filling(other), behind);
  }
  const ink = [...color(isSvg ? style.fill : style.color)];
  ink[3] *= (isSvg ? style.fillOpacity : 1) * fade(e);
  const ratio = contrast(over(ink, behind), behind);
  if (ratio < 4.5) {
    look.faint.push(`${place(e)} "${node.data.trim().slice(0, 40)}": ` +
                    `${ratio.toFixed(2)}, ${text(over(ink, behind))} on ` +
                    text(behind));
  }
  if (isSvg) ranges.push({e, rect, data: node.data.trim()});
}
if (look.texts === 0) look.smallest = 0;

// The corners of a piece of text, turned as it is, without the room above and
// below its letters.
const corners = e => {
  const box = e.getBBox(), m = e.getScreenCTM(), room = box.height / 8;
  return [[0, room], [box.width, room], [box.width, box.height - room],
          [0, box.height - room]]
      .map(([x, y]) => new DOMPoint(box.x + x, box.y + y).matrixTransform(m));
};
const apart = 1;  // px that may be common.
// Convex shapes are apart if, seen along a side of one, they are.
const overlap = (p, q) => [p, q].every(shape => shape.every((a, i) => {
  const b = shape[(i + 1) % 4], length = Math.hypot(b.x - a.x, b.y - a.y) || 1;
  const along = c => ((b.y - a.y) * c.x - (b.x - a.x) * c.y) / length;
  const [pa, qa] = [p.map(along), q.map(along)];
  return Math.max(...pa) > Math.min(...qa) + apart &&
         Math.max(...qa) > Math.min(...pa) + apart;
}));
for (const [i, a] of ranges.entries()) {
  const svg = a.e.ownerSVGElement, frame = svg.getBoundingClientRect();
  if (a.rect.left < frame.left - apart || a.rect.right > frame.right + apart ||
      a.rect.top < frame.top - apart || a.rect.bottom > frame.bottom + apart) {
    look.misplaced.push(`${place(a.e)} "${a.data}" leaves its picture`);
  }
  for (const b of ranges.slice(i + 1)) {
    if (b.e.ownerSVGElement === svg && overlap(corners(a.e), corners(b.e))) {
      look.misplaced.push(`${place(a.e)} "${a.data}" lies over "${b.data}"`);
    }
  }
}

for (const e of document.querySelectorAll('figure,svg,table,img,image')) {
  const rect = e.getBoundingClientRect();
  if (!(rect.width > 0 && rect.height > 0)) {
    look.empty.push(`${place(e)}: ${rect.width} by ${rect.height}`);
  }
}
for (const e of document.querySelectorAll('img,image')) {
  const image = new Image();
  image.src = e.getAttribute('src') || e.getAttribute('href') || '';
  try {
    await image.decode();
    if (!(image.naturalWidth > 0)) throw 0;
    ++look.images;
  } catch {
    look.broken.push(place(e));
  }
}
return look;
})())js";

}  // namespace

absl::StatusOr<PageLook> Measure(Browser& browser) {
  const absl::StatusOr<Json> look = browser.Evaluate(kMeasure);
  if (!look.ok()) return look.status();
  return PageLook{.content_width = (*look)["content"],
                  .texts = (*look)["texts"],
                  .images = (*look)["images"],
                  .smallest_text = (*look)["smallest"],
                  .faint = (*look)["faint"],
                  .misplaced = (*look)["misplaced"],
                  .empty = (*look)["empty"],
                  .broken = (*look)["broken"]};
}

}  // namespace tape
