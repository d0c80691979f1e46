#include <fcntl.h>
#include <linux/close_range.h>
#include <napi.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "control/dataplane.h"

namespace sluice {

namespace {

Napi::Error to_js(Napi::Env env, const Error& error) {
  Napi::Error thrown = Napi::Error::New(env, error.message);
  thrown.Set("name", Napi::String::New(env, "SluiceNativeError"));
  thrown.Set("code", Napi::String::New(env, error.code));
  thrown.Set("path", Napi::String::New(env, error.path));
  return thrown;
}

Napi::Value parse_json(Napi::Env env, const std::string& text) {
  const auto json = env.Global().Get("JSON").As<Napi::Object>();
  return json.Get("parse").As<Napi::Function>().Call(json, {Napi::String::New(env, text)});
}

/// Runs work on a pool thread and settles a promise with what `convert` makes of its value.
template <typename Value>
class Task : public Napi::AsyncWorker {
 public:
  using Work = std::function<Result<Value>()>;
  using Convert = std::function<Napi::Value(Napi::Env, Value&)>;

  static Napi::Promise start(Napi::Env env, Work work, Convert convert) {
    auto* task = new Task(env, std::move(work), std::move(convert));  // AsyncWorker deletes itself
    task->Queue();
    return task->deferred_.Promise();
  }

 private:
  Task(Napi::Env env, Work work, Convert convert)
      : Napi::AsyncWorker(env), deferred_(env), work_(std::move(work)), convert_(std::move(convert)) {}

  void Execute() override { result_ = std::make_unique<Result<Value>>(work_()); }
  void OnOK() override {
    if (*result_) {
      deferred_.Resolve(convert_(Env(), result_->value()));
    } else {
      deferred_.Reject(to_js(Env(), result_->error()).Value());
    }
  }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

  Napi::Promise::Deferred deferred_;
  Work work_;
  Convert convert_;
  std::unique_ptr<Result<Value>> result_;
};

/// An options object as JSON text.
std::string options_text(Napi::Env env, const Napi::Value& options) {
  if (!options.IsObject()) throw to_js(env, {"invalid-options", "", "the options must be an object"});
  const auto json = env.Global().Get("JSON").As<Napi::Object>();
  return json.Get("stringify").As<Napi::Function>().Call(json, {options}).As<Napi::String>().Utf8Value();
}

/// A whole number of 0 to 2^32 - 1; `path` names it in the error.
uint32_t whole_number(Napi::Env env, const Napi::Value& value, const char* path) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (number >= 0 && number <= UINT32_MAX && number == std::floor(number)) return static_cast<uint32_t>(number);
  throw to_js(env, {"invalid-options", path, "must be a whole number of 0 or more"});
}

/// The value, or the error thrown.
template <typename Value>
Value& take(Napi::Env env, Result<Value>& result) {
  if (!result) throw to_js(env, result.error());
  return result.value();
}

std::vector<std::string> texts_of(const Napi::Value& value) {
  const auto array = value.As<Napi::Array>();
  std::vector<std::string> texts;
  for (uint32_t i = 0; i < array.Length(); i++) texts.push_back(array.Get(i).As<Napi::String>().Utf8Value());
  return texts;
}

std::vector<uint8_t> bytes_of(const Napi::Value& value) {
  const auto array = value.As<Napi::Uint8Array>();
  return {array.Data(), array.Data() + array.ByteLength()};
}

std::string text_of(const Napi::Object& object, const char* key, const std::string& fallback) {
  const Napi::Value value = object.Get(key);
  return value.IsString() ? value.As<Napi::String>().Utf8Value() : fallback;
}

uint32_t number_of(const Napi::Object& object, const char* key, uint32_t fallback) {
  const Napi::Value value = object.Get(key);
  return value.IsNumber() ? value.As<Napi::Number>().Uint32Value() : fallback;
}

bool flag_of(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  return value.IsBoolean() && value.As<Napi::Boolean>().Value();
}

StartOptions read_options(const Napi::Object& object) {
  StartOptions options;
  options.eal.name = text_of(object, "name", "node");
  options.eal.memory_mb = number_of(object, "memoryMb", options.eal.memory_mb);
  options.eal.log_level = text_of(object, "logLevel", "error");
  options.eal.pci = flag_of(object, "pci");
  const std::string hugepages = text_of(object, "hugepages", "auto");
  options.eal.hugepages = hugepages == "never"     ? Hugepages::Never
                          : hugepages == "require" ? Hugepages::Require
                                                   : Hugepages::Auto;
  options.workers = static_cast<uint16_t>(number_of(object, "workers", options.workers));
  options.state_dir = text_of(object, "stateDir", "");
  options.cache_dir = text_of(object, "cacheDir", "");
  options.buffers = number_of(object, "buffers", options.buffers);
  options.jumbos = number_of(object, "jumbos", options.jumbos);
  options.busy_poll = flag_of(object, "busyPoll");
  options.keep_taps = flag_of(object, "keepTaps");
  if (const Napi::Value cores = object.Get("workerCores"); cores.IsArray()) {
    const auto array = cores.As<Napi::Array>();
    for (uint32_t i = 0; i < array.Length(); i++) {
      options.worker_cores.push_back(array.Get(i).As<Napi::Number>().Int32Value());
    }
  }
  return options;
}

}  // namespace

/// The JavaScript class Dataplane. Pool threads hold the dataplane by a shared pointer, so that it outlives their work.
class DataplaneObject : public Napi::ObjectWrap<DataplaneObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    Napi::Function constructor = DefineClass(
        env, "Dataplane",
        {StaticMethod("start", &DataplaneObject::start), InstanceMethod("addModule", &DataplaneObject::add_module),
         InstanceMethod("apply", &DataplaneObject::apply), InstanceMethod("shadow", &DataplaneObject::shadow),
         InstanceMethod("status", &DataplaneObject::status), InstanceMethod("inject", &DataplaneObject::inject),
         InstanceMethod("collect", &DataplaneObject::collect), InstanceMethod("runStage", &DataplaneObject::run_stage),
         InstanceMethod("startTrace", &DataplaneObject::start_trace),
         InstanceMethod("readTrace", &DataplaneObject::read_trace),
         InstanceMethod("startCapture", &DataplaneObject::start_capture),
         InstanceMethod("readCapture", &DataplaneObject::read_capture),
         InstanceMethod("stopObserving", &DataplaneObject::stop_observing),
         InstanceMethod("drops", &DataplaneObject::drops), InstanceMethod("flows", &DataplaneObject::flows),
         InstanceMethod("profile", &DataplaneObject::profile), InstanceMethod("stop", &DataplaneObject::stop)});
    env.SetInstanceData(new Napi::FunctionReference(Napi::Persistent(constructor)));
    return constructor;
  }

  explicit DataplaneObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<DataplaneObject>(info) {
    if (info.Length() != 1 || !info[0].IsExternal()) {
      throw Napi::TypeError::New(info.Env(), "use Dataplane.start()");
    }
    dataplane_ = *info[0].As<Napi::External<std::shared_ptr<Dataplane>>>().Data();
  }

 private:
  using Shared = std::shared_ptr<Dataplane>;

  static Napi::Value start(const Napi::CallbackInfo& info) {
    const StartOptions options = read_options(info[0].As<Napi::Object>());
    return Task<Shared>::start(
        info.Env(),
        [options]() -> Result<Shared> {
          auto started = Dataplane::start(options);
          if (!started) return started.error();
          return Shared(std::move(started.value()));
        },
        [options](Napi::Env env, Shared& dataplane) -> Napi::Value {
          auto* constructor = env.GetInstanceData<Napi::FunctionReference>();
          auto started = Napi::Object::New(env);
          started.Set("dataplane", constructor->New({Napi::External<Shared>::New(env, &dataplane)}));
          started.Set("hugepages", dataplane->memory().hugepages);
          started.Set("memoryMb", options.eal.memory_mb);
          started.Set("message", dataplane->memory().message);
          return started;
        });
  }

  /// A promise of parsed JSON.
  Napi::Value json_task(Napi::Env env, std::function<Result<std::string>(Dataplane&)> work) {
    return Task<std::string>::start(
        env, [dataplane = dataplane_, work = std::move(work)] { return work(*dataplane); },
        [](Napi::Env inner, std::string& text) { return parse_json(inner, text); });
  }

  Napi::Value add_module(const Napi::CallbackInfo& info) {
    return json_task(info.Env(), [digest = info[0].As<Napi::String>().Utf8Value(), wasm = bytes_of(info[1])](
                                     Dataplane& dataplane) { return dataplane.add_module(digest, wasm); });
  }

  Napi::Value apply(const Napi::CallbackInfo& info) {
    return json_task(info.Env(),
                     [state = info[0].As<Napi::String>().Utf8Value(), configs = texts_of(info[1])](
                         Dataplane& dataplane) mutable { return dataplane.apply(state, std::move(configs)); });
  }

  Napi::Value shadow(const Napi::CallbackInfo& info) {
    const auto json = info.Env().Global().Get("JSON").As<Napi::Object>();
    const auto limits = json.Get("stringify").As<Napi::Function>().Call(json, {info[3]}).As<Napi::String>().Utf8Value();
    return json_task(info.Env(),
                     [state = info[0].As<Napi::String>().Utf8Value(), configs = texts_of(info[1]),
                      plugin = info[2].As<Napi::String>().Utf8Value(), limits](Dataplane& dataplane) mutable {
                       return dataplane.shadow(state, std::move(configs), plugin, limits);
                     });
  }

  Napi::Value status(const Napi::CallbackInfo& info) { return parse_json(info.Env(), dataplane_->status()); }

  Napi::Value inject(const Napi::CallbackInfo& info) {
    const auto array = info[1].As<Napi::Array>();
    std::vector<std::vector<uint8_t>> frames;
    for (uint32_t i = 0; i < array.Length(); i++) frames.push_back(bytes_of(array.Get(i)));
    const auto taken = dataplane_->inject(info[0].As<Napi::String>().Utf8Value(), frames);
    if (!taken) throw to_js(info.Env(), taken.error());
    return Napi::Number::New(info.Env(), taken.value());
  }

  Napi::Value collect(const Napi::CallbackInfo& info) {
    auto frames = dataplane_->collect(info[0].As<Napi::String>().Utf8Value(), info[1].As<Napi::Number>().Uint32Value());
    if (!frames) throw to_js(info.Env(), frames.error());
    auto array = Napi::Array::New(info.Env(), frames.value().size());
    for (uint32_t i = 0; i < frames.value().size(); i++) {
      array.Set(i, Napi::Buffer<uint8_t>::Copy(info.Env(), frames.value()[i].data(), frames.value()[i].size()));
    }
    return array;
  }

  Napi::Value run_stage(const Napi::CallbackInfo& info) {
    return Task<std::string>::start(
        info.Env(),
        [dataplane = dataplane_, request = info[0].As<Napi::String>().Utf8Value()] {
          return dataplane->run_stage(request);
        },
        [](Napi::Env env, std::string& text) -> Napi::Value { return Napi::String::New(env, text); });
  }

  Napi::Value start_trace(const Napi::CallbackInfo& info) {
    auto id = dataplane_->start_trace(options_text(info.Env(), info[0]));
    return Napi::Number::New(info.Env(), take(info.Env(), id));
  }

  Napi::Value read_trace(const Napi::CallbackInfo& info) {
    auto read = dataplane_->read_trace(whole_number(info.Env(), info[0], "/id"));
    return parse_json(info.Env(), take(info.Env(), read));
  }

  Napi::Value start_capture(const Napi::CallbackInfo& info) {
    auto id = dataplane_->start_capture(options_text(info.Env(), info[0]));
    return Napi::Number::New(info.Env(), take(info.Env(), id));
  }

  Napi::Value read_capture(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    auto read = dataplane_->read_capture(whole_number(env, info[0], "/id"), whole_number(env, info[1], "/max"));
    const CaptureRead& taken = take(env, read);
    auto packets = Napi::Array::New(env, taken.frames.size());
    for (uint32_t i = 0; i < taken.frames.size(); i++) packets.Set(i, captured_packet(env, taken.frames[i]));
    auto result = Napi::Object::New(env);
    result.Set("packets", packets);
    result.Set("lost", Napi::Number::New(env, static_cast<double>(taken.lost)));
    return result;
  }

  static Napi::Object captured_packet(Napi::Env env, const CapturedFrame& frame) {
    auto packet = Napi::Object::New(env);
    packet.Set("at", Napi::BigInt::New(env, frame.wall_ns));
    packet.Set("point", frame.point);
    packet.Set("port", frame.port);
    packet.Set("length", frame.length);
    packet.Set("bytes", Napi::Buffer<uint8_t>::Copy(env, frame.bytes.data(), frame.bytes.size()));
    if (!frame.reason.empty()) packet.Set("reason", frame.reason);
    if (!frame.stage.empty()) packet.Set("stage", frame.stage);
    return packet;
  }

  Napi::Value stop_observing(const Napi::CallbackInfo& info) {
    if (const Status done = dataplane_->stop_observing(whole_number(info.Env(), info[0], "/id")); !done) {
      throw to_js(info.Env(), done.error());
    }
    return info.Env().Undefined();
  }

  Napi::Value drops(const Napi::CallbackInfo& info) {
    auto drops = dataplane_->drops();
    return parse_json(info.Env(), take(info.Env(), drops));
  }

  Napi::Value flows(const Napi::CallbackInfo& info) {
    auto flows = dataplane_->flows(options_text(info.Env(), info[0]));
    return parse_json(info.Env(), take(info.Env(), flows));
  }

  Napi::Value profile(const Napi::CallbackInfo& info) {
    // What is wrong with the options rejects, too.
    const std::string options = info[0].IsObject() ? options_text(info.Env(), info[0]) : "null";
    return json_task(info.Env(), [options](Dataplane& dataplane) { return dataplane.profile(options); });
  }

  Napi::Value stop(const Napi::CallbackInfo& info) {
    return Task<bool>::start(
        info.Env(),
        [dataplane = dataplane_]() -> Result<bool> {
          dataplane->stop();
          return true;
        },
        [](Napi::Env env, bool&) { return env.Undefined(); });
  }

  Shared dataplane_;
};

/// As execve() wants it; points into `texts`.
std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

/// What DPDK and plugins have open must not stay open in the next program; Node's own start marks stdio to be closed
/// too.
Napi::Value replace_process(const Napi::CallbackInfo& info) {
  const std::string file = info[0].As<Napi::String>().Utf8Value();
  auto arguments = texts_of(info[1]);
  auto environment = texts_of(info[2]);
  for (const int stdio : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) fcntl(stdio, F_SETFD, 0);
  close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  execve(file.c_str(), pointers_to(arguments).data(), pointers_to(environment).data());
  throw to_js(info.Env(), {"start-failed", file, std::strerror(errno)});
}

Napi::Object init_addon(Napi::Env env, Napi::Object exports) {
  exports.Set("Dataplane", DataplaneObject::define(env));
  exports.Set("replaceProcess", Napi::Function::New(env, replace_process));
  return exports;
}

NODE_API_MODULE(sluice, init_addon)

}  // namespace sluice
