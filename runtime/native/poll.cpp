// What a step has to know of thousands of tensors, read without a call of Python for each.
//
// In: lists of tensors as Python objects, and what is expected of them. Out: addresses, and the first tensor that is not
// as expected. Tensors are read through torch's stable C interface, whose functions come in as pointers, so this needs no
// header of torch; Python's functions are those of its stable interface, declared here, so this needs no header of Python
// either. Called with the interpreter's lock held. Nothing here writes to a tensor, but for `write_numbers`; `bump_versions`
// counts for autograd.

#include <cstdint>

extern "C" {
struct Object;
Object* PyList_GetItem(Object*, intptr_t);                  // borrowed
intptr_t PyList_Size(Object*);
Object* PyList_New(intptr_t);                               // owned
int PyList_SetItem(Object*, intptr_t, Object*);             // takes the item
Object* PyObject_GetAttr(Object*, Object*);                 // owned
Object* PyDict_GetItemWithError(Object*, Object*);          // borrowed
Object* PyObject_Type(Object*);                             // owned
void PyErr_Clear();
void Py_DecRef(Object*);
}

namespace {

// What torch calls a tensor's handle: the address of one machine word, which lies within the Python object too.
typedef const void* Handle;

// What may be found; the order is that of `CAUSES` in polling.py.
enum Finding : int64_t { kSame, kType, kDtype, kShape, kStrides, kDevice, kLazy, kShared };

bool is_type(Object* object, Object* const* types, int64_t count) {
  Object* type = PyObject_Type(object);
  bool found = false;
  for (int64_t i = 0; i < count; ++i) found = found || type == types[i];
  Py_DecRef(type);
  return found;
}

}  // namespace

extern "C" {

// Functions of torch/csrc/inductor/aoti_torch/c/shim.h, which return 0 if all is well, and three that it lacks.
struct Torch {
  int64_t offset;      // of the handle within a Python object
  const Object* none;  // Python's None, which a gradient can be
  int32_t (*layout)(Handle, int32_t*);
  int32_t (*dtype)(Handle, int32_t*);
  int32_t (*device_type)(Handle, int32_t*);
  int32_t (*device_index)(Handle, int32_t*);
  int32_t (*dimensions)(Handle, int64_t*);
  int32_t (*shape)(Handle, int64_t**);
  int32_t (*strides)(Handle, int64_t**);
  int32_t (*data)(Handle, void**);
  bool (*is_neg)(Handle);
  bool (*is_conj)(Handle);
  void (*bump_version)(Handle);  // throws if the tensor has none
};

// What tensors that agree in it are: torch's numbers.
struct Kind {
  int32_t layout, dtype, device_type, device_index;
};

static Handle handle_of(const Torch& torch, Object* object) { return reinterpret_cast<const char*>(object) + torch.offset; }

// Begins to fetch what the next tensors of a list are read from, all at once: a launch leaves its own data in the caches,
// and a tensor is read from half a dozen places.
static void fetch_next(Object* list, intptr_t first, const Torch& torch) {
  constexpr intptr_t kTensors = 64, kLine = 64, kTogether = 4 * kLine;  // bytes; torch's part of a tensor has some 200
  if (first % kTensors != 0) return;
  const intptr_t count = PyList_Size(list), end = first + kTensors < count ? first + kTensors : count;
  for (intptr_t i = first; i < end; ++i) __builtin_prefetch(handle_of(torch, PyList_GetItem(list, i)));
  for (intptr_t i = first; i < end; ++i) {
    Object* object = PyList_GetItem(list, i);
    if (object == torch.none) continue;
    const char* part = *static_cast<const char* const*>(handle_of(torch, object));
    for (intptr_t at = 0; at < kTogether; at += kLine) __builtin_prefetch(part + at);
  }
}

struct Expected {
  const Torch* torch;
  Object* const* types;       // exact types that are taken
  int64_t type_count;         // 0: they are known, since the objects are
  Kind kind;
  int64_t bytes;              // of an element
  int64_t is_complex;
  const int64_t* layouts;     // per tensor: dimensions, shape, strides
  int64_t shape_only;         // whether strides may be anything
  const int64_t* starts;      // stretches of memory, in order, that no moved tensor may reach into
  const int64_t* ends;
  int64_t stretches;
};

// Looks at every tensor of a list. Where all are as expected: writes their addresses, counts those that changed in
// `moved` and returns kSame. Else returns what differs; `where` is the tensor's position then. `addresses` may be partly
// new then, so whoever kept them must take them anew.
int64_t thetac_poll(Object* tensors, const Expected* expected, int64_t* addresses, int64_t address_step, int64_t* moved,
                    int64_t* where) {
  const Torch& torch = *expected->torch;
  const int64_t* layout = expected->layouts;
  const intptr_t count = PyList_Size(tensors);
  *moved = 0;
  for (intptr_t i = 0; i < count; ++i) {
    fetch_next(tensors, i, torch);
    *where = i;
    Object* object = PyList_GetItem(tensors, i);
    if (expected->type_count && !is_type(object, expected->types, expected->type_count)) return kType;
    const Handle tensor = handle_of(torch, object);
    int32_t number;
    if (torch.is_neg(tensor) || (expected->is_complex && torch.is_conj(tensor))) return kLazy;
    if (torch.layout(tensor, &number) != 0 || number != expected->kind.layout) return kType;
    if (torch.dtype(tensor, &number) != 0 || number != expected->kind.dtype) return kDtype;
    const int64_t dimensions = *layout++;
    int64_t found;
    int64_t *shape_found, *strides_found;
    if (torch.dimensions(tensor, &found) != 0 || found != dimensions) return kShape;
    if (torch.shape(tensor, &shape_found) != 0 || torch.strides(tensor, &strides_found) != 0) return kType;
    const int64_t* shape = layout;
    const int64_t* strides = layout + dimensions;
    layout += 2 * dimensions;
    int64_t elements = 1, reach = 0;
    for (int64_t d = 0; d < dimensions; ++d) {
      if (shape_found[d] != shape[d]) return kShape;
      if (!expected->shape_only && shape[d] > 1 && strides_found[d] != strides[d]) return kStrides;
      elements *= shape[d];
      reach += (shape[d] - 1) * strides_found[d];
    }
    if (torch.device_type(tensor, &number) != 0 || number != expected->kind.device_type) return kDevice;
    if (torch.device_index(tensor, &number) != 0 || number != expected->kind.device_index) return kDevice;
    void* data;
    if (torch.data(tensor, &data) != 0) return kType;
    const int64_t address = reinterpret_cast<int64_t>(data);
    if (elements && !address) return kType;
    if (address == addresses[i * address_step]) continue;
    ++*moved;
    addresses[i * address_step] = address;
    if (elements && expected->stretches) {
      // The first stretch that ends behind the tensor's start must not begin before the tensor's end.
      const int64_t end = address + (reach + 1) * expected->bytes;
      int64_t low = 0, high = expected->stretches;
      while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (expected->ends[middle] > address) high = middle; else low = middle + 1;
      }
      if (low < expected->stretches && expected->starts[low] < end) return kShared;
    }
  }
  return kSame;
}

// The first place where two lists hold other objects; -1 if they hold the same.
int64_t thetac_first_different(Object* list, Object* known) {
  const intptr_t count = PyList_Size(known);
  if (PyList_Size(list) != count) return 0;
  for (intptr_t i = 0; i < count; ++i)
    if (PyList_GetItem(list, i) != PyList_GetItem(known, i)) return i;
  return -1;
}

// A new list of an attribute of each tensor; null with Python's exception set.
Object* thetac_attributes(Object* list, Object* name, const Torch* torch) {
  const intptr_t count = PyList_Size(list);
  Object* found = PyList_New(count);
  for (intptr_t i = 0; found && i < count; ++i) {
    fetch_next(list, i, *torch);
    Object* value = PyObject_GetAttr(PyList_GetItem(list, i), name);
    if (!value) {
      Py_DecRef(found);
      return nullptr;
    }
    PyList_SetItem(found, i, value);
  }
  return found;
}

// The first dictionary of a list that does not hold the known object under a name; -1 if all do.
int64_t thetac_first_replaced(Object* entries, Object* name, Object* known) {
  const intptr_t count = PyList_Size(known);
  for (intptr_t i = 0; i < count; ++i) {
    Object* found = PyDict_GetItemWithError(PyList_GetItem(entries, i), name);
    if (!found) PyErr_Clear();
    if (found != PyList_GetItem(known, i)) return i;
  }
  return -1;
}

// Tells autograd that tensors were written. One without a version, as inference mode makes them, is left alone.
void thetac_bump_versions(Object* tensors, const Torch* torch) {
  const intptr_t count = PyList_Size(tensors);
  for (intptr_t i = 0; i < count; ++i) {
    try {
      torch->bump_version(handle_of(*torch, PyList_GetItem(tensors, i)));
    } catch (...) {
    }
  }
}

// What a tensor is. Not 0 if it cannot be read.
int64_t thetac_describe(Object* object, const Torch* torch, Kind* out) {
  const Handle tensor = handle_of(*torch, object);
  return torch->layout(tensor, &out->layout) || torch->dtype(tensor, &out->dtype) ||
         torch->device_type(tensor, &out->device_type) || torch->device_index(tensor, &out->device_index);
}

// Numbers of the host, one at each address: float32, or float64 if wide. Whether all are equal; NaN equals nothing.
int64_t thetac_read_numbers(const int64_t* addresses, int64_t count, int64_t wide, double* out) {
  bool equal = true;
  for (int64_t i = 0; i < count; ++i) {
    out[i] = wide ? *reinterpret_cast<const double*>(addresses[i]) : *reinterpret_cast<const float*>(addresses[i]);
    equal = equal && out[i] == out[0];
  }
  return equal;
}

// Writes to each address the number of its row.
void thetac_write_numbers(const int64_t* addresses, int64_t count, int64_t wide, const int64_t* rows,
                          const double* numbers) {
  for (int64_t i = 0; i < count; ++i) {
    const double number = numbers[rows[i]];
    if (wide)
      *reinterpret_cast<double*>(addresses[i]) = number;
    else
      *reinterpret_cast<float*>(addresses[i]) = static_cast<float>(number);
  }
}

}  // extern "C"
