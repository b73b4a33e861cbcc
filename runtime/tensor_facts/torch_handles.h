// Tensors as seen through Python objects: torch's handle within an object, and the functions of torch that take one.
//
// torch's functions come in as pointers, so this needs no header of torch. Python's functions are those of its stable
// interface, declared here, so this needs no header of Python either. To be used with the interpreter's lock held.
#pragma once

#include <cstdint>

extern "C" {
struct Object;
Object* PyList_GetItem(Object*, intptr_t);           // borrowed reference
intptr_t PyList_Size(Object*);
Object* PyList_New(intptr_t);                        // new reference
int PyList_SetItem(Object*, intptr_t, Object*);      // steals the item's reference
Object* PyObject_GetAttr(Object*, Object*);          // new reference
Object* PyDict_GetItemWithError(Object*, Object*);   // borrowed reference
Object* PyObject_Type(Object*);                      // new reference
void PyErr_Clear();
void Py_IncRef(Object*);
void Py_DecRef(Object*);
}

namespace {

// What torch calls a tensor's handle: the address of one machine word, which is a part of the Python object, too.
typedef const void* Handle;

// `TorchInterface` in torch_interface.py fills it in. The functions are those of
// torch/csrc/inductor/aoti_torch/c/shim.h, which return 0 if all is well, and three that it lacks.
struct TorchInterface {
  int64_t handle_offset;  // of the handle within a tensor's Python object
  int64_t type_offset;    // of an object's type within it; 0: unknown
  int64_t items_offset;   // of the address of a list's items within it; 0: unknown
  const Object* none;     // Python's None, which a gradient can be
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
  void (*bump_version)(Handle);  // throws if the tensor has no version counter
};

inline const char* bytes_of(const Object* object) { return reinterpret_cast<const char*>(object); }

inline Handle handle_of(const TorchInterface& torch, Object* object) { return bytes_of(object) + torch.handle_offset; }

inline Object* type_of(const TorchInterface& torch, Object* object) {
  if (torch.type_offset) return *reinterpret_cast<Object* const*>(bytes_of(object) + torch.type_offset);
  Object* type = PyObject_Type(object);
  Py_DecRef(type);  // the object has a reference of its own
  return type;
}

// The items of a list, or those at some positions. While a view is in use, nothing may run that could change the list.
struct ListView {
  Object* list;
  Object* const* items;      // null: PyList_GetItem has to be called
  const int64_t* positions;  // null: all
  ListView(const TorchInterface& torch, Object* list, const int64_t* positions = nullptr)
      : list(list), items(nullptr), positions(positions) {
    if (torch.items_offset) items = *reinterpret_cast<Object* const* const*>(bytes_of(list) + torch.items_offset);
  }
  Object* operator[](int64_t index) const {
    const int64_t position = positions ? positions[index] : index;
    return items ? items[position] : PyList_GetItem(list, position);
  }
};

// A launch leaves its own data in the caches, and a tensor's fields are scattered over memory: fields of a block of
// tensors are prefetched together.
constexpr int64_t kBlock = 64;  // tensors

inline void prefetch_handles(const TorchInterface& torch, Object* const* objects, int64_t count) {
  for (int64_t i = 0; i < count; ++i) __builtin_prefetch(handle_of(torch, objects[i]));
}

// The objects are tensors, or None.
inline void prefetch_tensors(const TorchInterface& torch, Object* const* objects, int64_t count) {
  constexpr int64_t kLine = 64, kBytes = 4 * kLine;  // torch's part of a tensor has some 200
  for (int64_t i = 0; i < count; ++i) {
    if (objects[i] == torch.none) continue;
    const char* part = *static_cast<const char* const*>(handle_of(torch, objects[i]));
    for (int64_t at = 0; at < kBytes; at += kLine) __builtin_prefetch(part + at);
  }
}

}  // namespace
